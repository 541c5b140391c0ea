import {
  HEADER_ORDER,
  ROOT_RULES,
  RULES_ENTRY,
  RULES_MOST,
  RULES_NAMES_SIZE,
  RULES_RANKS,
  RULES_ROW,
  RULES_TABLE,
  RULES_TEXT,
  SPAN_SIZE,
} from '../../build/generated/layout.ts';
import { HeddleError, InvalidTypeError, MemoryFullError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { array, checkOptions, describe, string } from '../options.ts';

/**
 * Declares an order: whoever holds one of these may take those after it, and none before it. Names are those of locks or of classes of locks. What
 * follows from several rules together counts as well.
 */
export interface HierarchyRule {
  readonly name: string;
  /** Names in the order in which they are to be taken. */
  readonly order: readonly string[];
}

/** Rules and all that follows from them. */
export class RuleSet {
  readonly rules: readonly HierarchyRule[];
  readonly names: readonly string[];
  readonly #ranks = new Map<string, number>();
  /** For each name, those that directly follow it, with the rule that says so. */
  readonly #next: ReadonlyMap<number, readonly { readonly to: number; readonly rule: string }[]>;
  /** Row a, bit b: a comes before b. */
  readonly #before: readonly Uint8Array[];

  /**
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that is no list of rules.
   * @throws {HeddleError} ERR_LOCK_ORDER when rules contradict each other; ERR_RESOURCE_LIMIT for more than 4096 names.
   */
  constructor(rules: readonly HierarchyRule[]) {
    this.rules = checkRules(rules);
    const next = new Map<number, { to: number; rule: string }[]>();
    for (const { name, order } of this.rules) {
      const ranks = order.map((each) => this.#rank(each));
      for (let i = 1; i < ranks.length; i++) {
        const from = ranks[i - 1]!;
        let list = next.get(from);
        if (list === undefined) next.set(from, (list = []));
        list.push({ to: ranks[i]!, rule: name });
      }
    }
    this.names = [...this.#ranks.keys()];
    this.#next = next;
    if (this.names.length > RULES_MOST) {
      throw new HeddleError(
        'ERR_RESOURCE_LIMIT',
        `cannot declare rules over ${this.names.length} names; there may be ${RULES_MOST}`,
      );
    }
    this.#before = this.#close();
  }

  #rank(name: string): number {
    const known = this.#ranks.get(name);
    if (known !== undefined) return known;
    const rank = this.#ranks.size;
    this.#ranks.set(name, rank);
    return rank;
  }

  /** Transitive closure, from the last names back; finds contradictions on the way. */
  #close(): Uint8Array[] {
    const bytes = Math.ceil(this.names.length / 8);
    const rows = this.names.map(() => new Uint8Array(bytes));
    const done = new Set<number>();
    const visit = (rank: number, path: { from: number; rule: string }[]): void => {
      const start = path.findIndex(({ from }) => from === rank);
      if (start >= 0) throw this.#contradiction(path.slice(start));
      if (done.has(rank)) return;
      const row = rows[rank]!;
      for (const { to, rule } of this.#next.get(rank) ?? []) {
        path.push({ from: rank, rule });
        visit(to, path);
        path.pop();
        row[to >> 3]! |= 1 << (to & 7);
        const further = rows[to]!;
        for (let i = 0; i < bytes; i++) row[i]! |= further[i]!;
      }
      done.add(rank);
    };
    for (let rank = 0; rank < this.names.length; rank++) visit(rank, []);
    return rows;
  }

  #contradiction(path: readonly { from: number; rule: string }[]): HeddleError {
    const steps = path.map(({ from, rule }, i) => {
      const to = path[(i + 1) % path.length]!.from;
      return `\n  rule '${rule}': '${this.names[from]}' before '${this.names[to]}'`;
    });
    const names = [...new Set(path.map(({ rule }) => `'${rule}'`))];
    return new HeddleError(
      'ERR_LOCK_ORDER',
      `cannot declare lock rules: ${names.length === 1 ? `rule ${names[0]} contradicts itself` : `rules ${names.join(', ')} contradict each other`}${steps.join('')}`,
      { resource: path[0]!.rule },
    );
  }

  /** Names of the rules from which it follows that one of `first` comes before one of `second`; none when it does not follow. */
  rulesFor(first: readonly string[], second: readonly string[]): string[] {
    const goals = new Set(second.map((name) => this.#ranks.get(name)));
    const queue = first
      .map((name) => this.#ranks.get(name))
      .filter((rank) => rank !== undefined)
      .map((rank) => ({ rank, rules: [] as string[] }));
    const seen = new Set(queue.map(({ rank }) => rank));
    for (const { rank, rules } of queue) {
      for (const { to, rule } of this.#next.get(rank) ?? []) {
        if (goals.has(to)) return [...new Set([...rules, rule])];
        if (seen.has(to)) continue;
        seen.add(to);
        queue.push({ rank: to, rules: [...rules, rule] });
      }
    }
    return [];
  }

  /**
   * Writes the rules where the kernel reads them, in the place of earlier ones.
   *
   * @throws {MemoryFullError} ERR_MEMORY_FULL
   */
  publish(kernel: Kernel): void {
    if (this.names.length === 0) {
      kernel.calls.declareRules(0, 0);
      return;
    }
    const size = this.names.length * 2;
    const rowBytes = Math.ceil(this.names.length / 8);
    const encoder = new TextEncoder();
    const text = encoder.encode(JSON.stringify(this.rules));
    const matrix = RULES_TABLE + size * RULES_ENTRY;
    const textAt = Math.ceil((matrix + this.names.length * rowBytes) / 4) * 4;
    const bytes = textAt + 4 + text.length;
    const spans = Math.ceil(bytes / SPAN_SIZE);
    const at = kernel.calls.claimOrderRun(spans) >>> 0;
    if (at === 0) {
      throw new MemoryFullError(
        `cannot declare rules over ${this.names.length} names: the shared memory is full; raise memoryBytes`,
      );
    }
    const { u32, u8 } = kernel;
    u32[(at + RULES_RANKS) >>> 2] = this.names.length;
    u32[(at + RULES_NAMES_SIZE) >>> 2] = size;
    u32[(at + RULES_ROW) >>> 2] = rowBytes;
    u32[(at + RULES_TEXT) >>> 2] = at + textAt;
    u32[(at + textAt) >>> 2] = text.length;
    u8.set(text, at + textAt + 4);
    for (const [rank, name] of this.names.entries()) {
      const hash = hashText(encoder.encode(name));
      let i = Number((hash >> 32n) % BigInt(size));
      while (u32[(at + RULES_TABLE + i * RULES_ENTRY + 8) >>> 2] !== 0) i = (i + 1) % size;
      const entry = (at + RULES_TABLE + i * RULES_ENTRY) >>> 2;
      u32[entry] = Number(hash & 0xffffffffn);
      u32[entry + 1] = Number(hash >> 32n);
      u32[entry + 2] = rank + 1;
    }
    for (const [rank, row] of this.#before.entries()) u8.set(row, at + matrix + rank * rowBytes);
    kernel.calls.declareRules(at, spans);
  }
}

/** The rules that are declared now, by whichever thread. */
export function declaredRules(kernel: Kernel): RuleSet {
  const { u32, u8 } = kernel;
  const root = u32[HEADER_ORDER >>> 2]!;
  const at = root === 0 ? 0 : u32[(root + ROOT_RULES) >>> 2]!;
  if (at === 0) return new RuleSet([]);
  const text = u32[(at + RULES_TEXT) >>> 2]!;
  const bytes = u8.slice(text + 4, text + 4 + u32[text >>> 2]!);
  try {
    return new RuleSet(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Replaced while we read.
    return new RuleSet([]);
  }
}

function checkRules(rules: readonly HierarchyRule[]): readonly HierarchyRule[] {
  array(rules, 'lock rules');
  return rules.map((rule) => {
    checkOptions(rule, { name: string, order: array }, 'a lock rule');
    string(rule.name, `a lock rule: 'name'`);
    array(rule.order, `lock rule ${describe(rule.name)}: 'order'`);
    for (const each of rule.order) {
      if (typeof each !== 'string' || each === '') {
        throw new InvalidTypeError(
          `lock rule ${describe(rule.name)}: 'order' must list names of locks or classes, not ${describe(each)}`,
          { resource: rule.name },
        );
      }
    }
    return { name: rule.name, order: [...rule.order] };
  });
}

/** FNV-1a, 64 bits, as hashText() of assembly/order-sights.ts. */
function hashText(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}
