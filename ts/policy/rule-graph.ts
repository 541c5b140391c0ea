import type { HierarchyRule } from '../locks/order-rules.ts';

/** One step that a rule asks for: `from` is to be taken before `to`. */
export interface RuleStep {
  readonly from: string;
  readonly to: string;
  /** Index of the rule in the list. */
  readonly rule: number;
  /** Index of `to` in the rule's order. */
  readonly at: number;
}

/** Rules that contradict each other: taken together they ask for a ring. */
export interface RuleCycle {
  /** The ring: each step begins where the one before it ends, and the first where the last does. */
  readonly steps: readonly RuleStep[];
}

/** What rules ask for, as a graph. */
export class RuleGraph {
  /** Names of locks and classes in the order in which they first appear. */
  readonly names: readonly string[];
  readonly #next = new Map<string, RuleStep[]>();

  constructor(rules: readonly HierarchyRule[]) {
    for (const [rule, { order }] of rules.entries()) {
      // A name that stands twice is a fault of its own.
      const seen = new Set<string>();
      let last: string | undefined;
      for (const [at, name] of order.entries()) {
        if (seen.has(name)) continue;
        seen.add(name);
        if (!this.#next.has(name)) this.#next.set(name, []);
        if (last !== undefined) this.#next.get(last)!.push({ from: last, to: name, rule, at });
        last = name;
      }
    }
    this.names = [...this.#next.keys()];
  }

  /** The steps that begin at a name. */
  from(name: string): readonly RuleStep[] {
    return this.#next.get(name) ?? [];
  }

  /** A shortest ring of each knot of rules that contradict each other. Empty: the rules can be kept. */
  cycles(): RuleCycle[] {
    return this.#knots().map((members) => this.#ringIn(members));
  }

  /** Strongly connected components with more than one name (R. Tarjan, 1972), without recursion: an order may have thousands of names. */
  #knots(): Set<string>[] {
    const index = new Map<string, number>();
    const low = new Map<string, number>();
    const stack: string[] = [];
    const onStack = new Set<string>();
    const knots: Set<string>[] = [];
    for (const root of this.names) {
      if (index.has(root)) continue;
      const work: { name: string; next: number }[] = [{ name: root, next: 0 }];
      for (let frame = work.at(-1); frame !== undefined; frame = work.at(-1)) {
        const { name } = frame;
        if (frame.next === 0) {
          index.set(name, index.size);
          low.set(name, index.get(name)!);
          stack.push(name);
          onStack.add(name);
        }
        const step = this.from(name)[frame.next++];
        if (step !== undefined) {
          if (!index.has(step.to)) work.push({ name: step.to, next: 0 });
          else if (onStack.has(step.to)) low.set(name, Math.min(low.get(name)!, index.get(step.to)!));
          continue;
        }
        work.pop();
        const parent = work.at(-1);
        if (parent !== undefined) low.set(parent.name, Math.min(low.get(parent.name)!, low.get(name)!));
        if (low.get(name) !== index.get(name)) continue;
        const members = stack.splice(stack.lastIndexOf(name));
        for (const each of members) onStack.delete(each);
        if (members.length > 1) knots.push(new Set(members));
      }
    }
    return knots;
  }

  /** A shortest ring through the first name of a knot. */
  #ringIn(members: ReadonlySet<string>): RuleCycle {
    const start = this.names.find((name) => members.has(name))!;
    const reached = new Map<string, RuleStep>();
    const queue = [start];
    for (const name of queue) {
      for (const step of this.from(name)) {
        if (step.to === start) {
          const steps = [step];
          for (let at = name; at !== start; at = steps[0]!.from) steps.unshift(reached.get(at)!);
          return { steps };
        }
        if (!members.has(step.to) || reached.has(step.to)) continue;
        reached.set(step.to, step);
        queue.push(step.to);
      }
    }
    throw new Error('a knot without a ring');
  }

  /** Rank of each name: 1 for those that nothing comes before, else one more than the greatest rank before it. Only without cycles. */
  ranks(): Map<string, number> {
    const pending = new Map(this.names.map((name) => [name, 0]));
    for (const name of this.names)
      for (const { to } of this.from(name)) pending.set(to, pending.get(to)! + 1);
    const queue = this.names.filter((name) => pending.get(name) === 0);
    const ranks = new Map(queue.map((name) => [name, 1]));
    for (const name of queue) {
      for (const { to } of this.from(name)) {
        ranks.set(to, Math.max(ranks.get(to) ?? 0, ranks.get(name)! + 1));
        pending.set(to, pending.get(to)! - 1);
        if (pending.get(to) === 0) queue.push(to);
      }
    }
    return ranks;
  }
}

/** `'a' before 'b' (rule 'x'), 'b' before 'a' (rule 'y')`. */
export function describeCycle({ steps }: RuleCycle, nameOf: (rule: number) => string): string {
  return steps.map(({ from, to, rule }) => `'${from}' before '${to}' (rule '${nameOf(rule)}')`).join(', ');
}
