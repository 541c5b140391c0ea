import {
  CONTEXT_KEY_HELD,
  CONTEXT_RULE_HELD,
  ORDER_AGAINST_BIT,
  ORDER_CYCLE_BIT,
  ORDER_KEY_BIT,
  ORDER_NEW_BIT,
  ORDER_OVERFLOW_BIT,
  ORDER_RULE_BIT,
  ORDER_TRUNCATED_BIT,
  OWNER_SHARED,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { type OrderCycle, OrderView } from '../../ts/locks/order-view.ts';
import { MIB, openKernel, word } from '../kernel/harness.ts';

/** What a check said. */
export interface Answer {
  readonly isNew: boolean;
  /** Against the learned order, now or again. */
  readonly isAgainst: boolean;
  readonly overflowed: boolean;
  /** There may be more cycles than those found. */
  readonly truncated: boolean;
  /** Cycles that were not reported before. */
  readonly cycles: readonly OrderCycle[];
  /** The held lock against which a rule, and the order of keys, was broken; 0 for none. */
  readonly rule: number;
  readonly key: number;
}

/** The order graph of a runtime as one thread uses it, on the raw kernel. */
export class Order {
  readonly kernel: Kernel;
  readonly context: number;
  readonly view: OrderView;
  readonly #held: number;

  constructor(kernel: Kernel, agent = 1) {
    this.kernel = kernel;
    this.context = kernel.calls.openOrder(agent) >>> 0;
    if (this.context === 0) throw new Error('no room for a context');
    this.view = new OrderView(kernel, this.context);
    this.#held = kernel.calls.claimSpans(1, OWNER_SHARED) >>> 0;
  }

  #write(held: readonly number[]): void {
    this.kernel.u32.set(held, this.#held >>> 2);
  }

  /** `owner` takes `lock` while it holds `held`, outermost first. */
  check(held: readonly number[], lock: number, owner = 1): Answer {
    this.#write(held);
    return this.#read(this.kernel.calls.checkOrder(this.context, this.#held, held.length, lock, owner, 1));
  }

  validate(held: readonly number[], lock: number): Answer {
    this.#write(held);
    const bits = this.kernel.calls.validateOrder(this.context, this.#held, held.length, lock);
    return this.#read(bits & ~ORDER_CYCLE_BIT);
  }

  #read(bits: number): Answer {
    return {
      isNew: (bits & ORDER_NEW_BIT) !== 0,
      isAgainst: (bits & ORDER_AGAINST_BIT) !== 0,
      overflowed: (bits & ORDER_OVERFLOW_BIT) !== 0,
      truncated: (bits & ORDER_TRUNCATED_BIT) !== 0,
      cycles: (bits & ORDER_CYCLE_BIT) !== 0 ? this.view.takeCycles() : [],
      rule: (bits & ORDER_RULE_BIT) !== 0 ? word(this.kernel, this.context + CONTEXT_RULE_HELD) : 0,
      key: (bits & ORDER_KEY_BIT) !== 0 ? word(this.kernel, this.context + CONTEXT_KEY_HELD) : 0,
    };
  }

  /** Takes locks one under the other and lets them all go. Returns the answer of each. */
  nest(locks: readonly number[], owner = 1): Answer[] {
    return locks.map((lock, i) => this.check(locks.slice(0, i), lock, owner));
  }

  describe(id: number, options: { name?: string; ofClass?: number; key?: number } = {}): void {
    const name = new TextEncoder().encode(options.name ?? `lock ${id}`);
    this.kernel.u8.set(name, this.#held);
    const text = this.kernel.calls.internOrderText(this.#held, name.length, 0xffffffff);
    const isKeyed = options.key === undefined ? 0 : 1;
    if (this.kernel.calls.describeLock(id, text, options.ofClass ?? 0, isKeyed, options.key ?? 0) === 0) {
      throw new Error('not described');
    }
    if (options.ofClass !== undefined) this.kernel.calls.beginClasses(this.context);
  }
}

export async function openOrder(bytes: number = 32 * MIB): Promise<Order> {
  return new Order(await openKernel(bytes));
}

/** A cycle as the ids on it, from the least. */
export function ring(cycle: OrderCycle): number[] {
  const ids = cycle.edges.map(({ from }) => from);
  const least = ids.indexOf(Math.min(...ids));
  return [...ids.slice(least), ...ids.slice(0, least)];
}

/** All cycles of some answers, each as in ring(), in one order. */
export function rings(answers: readonly Answer[]): string[] {
  return answers.flatMap(({ cycles }) => cycles.map((cycle) => ring(cycle).join('-'))).sort();
}
