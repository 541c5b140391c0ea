import {
  CHECK_OFF,
  CHECK_THROW,
  CONTEXT_ANSWERS,
  CONTEXT_KEY_HELD,
  CONTEXT_RULE_HELD,
  GRAPH_OF_CLASSES,
  GRAPH_OF_LOCKS,
  HEADER_ORDER,
  LOCK_ID,
  ORDER_AGAINST_BIT,
  ORDER_CYCLE_BIT,
  ORDER_FRESH_BIT,
  ORDER_KEY_BIT,
  ORDER_NEW_BIT,
  ORDER_OVERFLOW_BIT,
  ORDER_RULE_BIT,
  ORDER_TRUNCATED_BIT,
  OWNER_CACHE,
  OWNER_HELD,
  STACKS_ALL,
  STACKS_OFF,
} from '../../build/generated/layout.ts';
import {
  HeddleError,
  LockOrderError,
  type LockOrderFault,
  type LockOrderStep,
  MemoryFullError,
} from '../errors.ts';
import { type RingAhead, ringsAhead } from './order-ahead.ts';
import type { OrderChecks } from './order-port.ts';
import { declaredRules } from './order-rules.ts';
import { describeFault } from './order-text.ts';
import {
  type OrderCycle,
  type OrderEdge,
  type OrderGranularity,
  type OrderSeverity,
  OrderView,
} from './order-view.ts';
import type { LockSpace } from './space.ts';
import { cleanStack } from './stacks.ts';

/** Bytes of texts that say who was first seen: at most so many, and at most this part of the memory. */
const TEXTS_MOST = 256 * 1024;
const TEXTS_PART = 64;

/** Acquisitions with new edges that each thread keeps the stacks of; a server that makes locks for requests would pay for one each time. Not with `stacks: 'all'`. */
const SIGNED_MOST = 4096;

/** What the owner is doing when a fault is found. */
interface Now {
  readonly taken: number;
  readonly owner: string;
  readonly stack: string | undefined;
}

/** Checks of lock order in one thread: asks the kernel, and makes reports and errors of what it says. */
export class OrderChecker implements OrderChecks {
  readonly #space: LockSpace;
  readonly #encoder = new TextEncoder();
  opened = 0;
  #view: OrderView | undefined;
  /** Acquisitions with new edges, as far as they are counted. */
  #signed = 0;
  #hasReportedOverflow = false;
  #hasReportedTruncation = false;

  constructor(space: LockSpace) {
    this.#space = space;
  }

  /** Address of this thread's context in the graph, opened now if it was not; 0 when the memory is full. */
  get context(): number {
    if (this.opened === 0) this.opened = this.#space.kernel.calls.openOrder(this.#space.agentId) >>> 0;
    return this.opened;
  }

  /** The graph as it is. */
  get view(): OrderView {
    this.#view ??= new OrderView(this.#space.kernel, this.context);
    return this.#view;
  }

  before(owner: number, lock: number): void {
    const { kernel } = this.#space;
    if (this.context === 0) {
      this.#overflowed(lock);
      return;
    }
    const isStrict = this.#space.orderMode(lock) === CHECK_THROW;
    const bits = kernel.calls.checkOwner(this.opened, owner, lock, isStrict ? 1 : 0);
    if (bits !== 0) this.#found(bits, owner, lock, isStrict);
  }

  forget(lock: number): boolean {
    const { calls, u32 } = this.#space.kernel;
    // Nothing was learned of any lock.
    if (u32[HEADER_ORDER >>> 2] === 0) return true;
    return this.context !== 0 && calls.forgetLock(this.context, this.#idOf(lock)) !== 0;
  }

  /** Learns that `owner` took `lock` under what it holds, without a fault being thrown; nothing in mode `'off'`. */
  record(owner: number, lock: number, stack: string | undefined): void {
    const { kernel } = this.#space;
    if (this.#space.orderMode(lock) === CHECK_OFF) return;
    if (this.context === 0) {
      this.#overflowed(lock);
      return;
    }
    const bits = kernel.calls.checkOwner(this.context, owner, lock, 0);
    if (bits !== 0) this.#found(bits, owner, lock, false, stack);
  }

  /** What is wrong with `owner` taking `lock` under what it holds, if anything: what mode `'throw'` would refuse it for, else what would be reported. Learns nothing. */
  validate(owner: number, lock: number): LockOrderError | undefined {
    const { kernel } = this.#space;
    if (this.#space.orderMode(lock) === CHECK_OFF) return undefined;
    const { context } = this;
    if (context === 0 || kernel.u32[(owner + OWNER_HELD) >>> 2] === 0) return undefined;
    const now: Now = { taken: this.#idOf(lock), owner: this.#space.ownerLabel(owner), stack: undefined };
    const bits = kernel.calls.validateOwner(context, owner, lock);
    if ((bits & ORDER_RULE_BIT) !== 0) return this.#ruleError(now);
    if ((bits & ORDER_KEY_BIT) !== 0) return this.#keyError(now);
    if ((bits & ORDER_AGAINST_BIT) === 0) return undefined;
    return this.#gravestAhead(owner, now);
  }

  #idOf(lock: number): number {
    return this.#space.kernel.u32[(lock + LOCK_ID) >>> 2]!;
  }

  /** Of a new edge its stack is kept, so that both orders have one when a ring is found; unless this thread makes new edges without end. */
  #keepsStack(): boolean {
    const { stacks } = this.#space;
    if (stacks === STACKS_ALL) return true;
    return stacks !== STACKS_OFF && this.#signed++ < SIGNED_MOST;
  }

  /** The kernel has something to say of an acquisition. */
  #found(bits: number, owner: number, lock: number, isStrict: boolean, given?: string): void {
    const label = this.#space.ownerLabel(owner);
    const isFault = (bits & ~(ORDER_NEW_BIT | ORDER_OVERFLOW_BIT)) !== 0;
    const isNew = (bits & ORDER_NEW_BIT) !== 0;
    const keepsStack = isNew && this.#keepsStack();
    const stack = given ?? (keepsStack || isFault ? cleanStack(new Error()) : undefined);
    const now: Now = { taken: this.#idOf(lock), owner: label, stack };
    // Read before anything else asks the kernel: its answer stands until then.
    const cycles = (bits & ORDER_CYCLE_BIT) !== 0 ? withoutShadows(this.view.takeCycles(), this.view) : [];
    if (isNew) this.#sign(now, owner, keepsStack || given !== undefined);
    const errors: LockOrderError[] = [];
    if ((bits & ORDER_RULE_BIT) !== 0 && (isStrict || (bits & ORDER_FRESH_BIT) !== 0))
      errors.push(this.#ruleError(now));
    if ((bits & ORDER_KEY_BIT) !== 0 && (isStrict || (bits & ORDER_FRESH_BIT) !== 0))
      errors.push(this.#keyError(now));
    for (const cycle of cycles) errors.push(this.#cycleError(cycle, now));
    if ((bits & ORDER_OVERFLOW_BIT) !== 0) this.#overflowed(lock);
    if ((bits & ORDER_TRUNCATED_BIT) !== 0) this.#truncated(lock);
    const grave = isStrict ? (errors.find(isGrave) ?? this.#again(bits, owner, now)) : undefined;
    for (const error of errors) if (error !== grave) this.#report(error, now);
    if (grave === undefined) return;
    if (grave.fault.kind === 'cycle') this.#space.kernel.calls.refuseOrder(this.opened, now.taken);
    throw grave;
  }

  /** In mode throw an acquisition that closes a known cycle is refused each time. */
  #again(bits: number, owner: number, now: Now): LockOrderError | undefined {
    if ((bits & ORDER_AGAINST_BIT) === 0) return undefined;
    const { calls } = this.#space.kernel;
    const context = this.opened;
    const { view } = this;
    const pairs = this.#idsHeldBy(owner).flatMap((id) => [
      [GRAPH_OF_LOCKS, id, now.taken] as const,
      [GRAPH_OF_CLASSES, view.classOf(id) || id, view.classOf(now.taken) || now.taken] as const,
    ]);
    for (const [graph, from, to] of pairs) {
      if (graph === GRAPH_OF_CLASSES && (!view.hasClasses || from === to)) continue;
      const granularity: OrderGranularity = graph === GRAPH_OF_LOCKS ? 'lock' : 'class';
      const edge = calls.edgeBetween(context, graph, from, to);
      if (edge === 0 || !view.edge(granularity, edge).isBack) continue;
      if (calls.explainOrder(context, graph, from, to) === 0) continue;
      const error = this.#cycleError(view.takeCycles()[0]!, now);
      if (isGrave(error)) return error;
      // The shortest is not what it was refused for.
      if (view.edge(granularity, edge).isRefused) return this.#gravestAhead(owner, now);
    }
    return undefined;
  }

  /** Writes down who was seen first, with the edges that this acquisition made. */
  #sign(now: Now, owner: number, keepsStack: boolean): void {
    const stack = keepsStack && now.stack ? `\n${now.stack}` : '';
    const kind = this.#space.ownerKindLabel(owner);
    const { buffer } = this.#space.kernel.u8;
    const most = Math.min(TEXTS_MOST, buffer.byteLength / TEXTS_PART);
    // Names may be without number, as those of requests are: when there are too many, the kind of owner has to do.
    const isNamed = kind !== now.owner;
    const kept =
      (isNamed ? this.#keepText(now.owner + stack, most) : 0) || this.#keepText(kind + stack, 2 * most);
    // Without room for it the edge stays unsigned; that it is known is what matters.
    if (kept !== 0) this.#space.kernel.calls.keepStack(this.opened, now.taken, kept);
  }

  /** Address of a text in the graph, or 0. */
  #keepText(text: string, most: number): number {
    const { kernel, agent } = this.#space;
    const bytes = this.#encoder.encode(text);
    const at = kernel.calls.allocate(agent, bytes.length) >>> 0;
    if (at === 0) return 0;
    kernel.u8.set(bytes, at);
    const kept = kernel.calls.internOrderText(at, bytes.length, most);
    kernel.calls.release(agent, at);
    return kept;
  }

  /** Reports what a thread that is gone had begun and recovery found; see assembly/order-recovery.ts. */
  collectFrom(agentId: number): void {
    const { calls } = this.#space.kernel;
    const gone = calls.orderOf(agentId) >>> 0;
    if (gone === 0) return;
    const view = new OrderView(this.#space.kernel, gone);
    for (const cycle of withoutShadows(view.takeCycles(), view)) {
      const now: Now = { taken: 0, owner: 'a thread that has ended', stack: undefined };
      this.#report(this.#cycleError(cycle, now), now);
    }
    calls.closeOrder(gone);
  }

  // ---- errors and reports --------------------------------------------------------------------------------------------------------------------

  #name(id: number): string {
    return this.view.nameOf(id) ?? this.#space.nameOf(id);
  }

  #step(edge: OrderEdge, isNow: boolean, now: Now): LockOrderStep {
    const [owner, ...lines] = edge.stack.split('\n');
    const stack = isNow ? now.stack : lines.length > 0 ? lines.join('\n') : undefined;
    const who = isNow ? now.owner : owner || undefined;
    return {
      held: this.#name(edge.from),
      taken: this.#name(edge.to),
      ...(who === undefined ? {} : { owner: who }),
      ...(stack === undefined ? {} : { stack }),
      count: edge.weight,
      isNow,
    };
  }

  #cycleError({ granularity, severity, edges }: OrderCycle, now: Now): LockOrderError {
    const taken = granularity === 'lock' ? now.taken : this.view.classOf(now.taken) || now.taken;
    const steps = edges.map((edge, i) => this.#step(edge, i === 0 && edge.to === taken, now));
    return this.#error({ kind: 'cycle', severity, granularity, steps, rules: [] }, this.#name(edges[0]!.to));
  }

  #gravestAhead(owner: number, now: Now): LockOrderError | undefined {
    const rings = withoutShadows(this.#ringsAhead(owner, now.taken), this.view);
    const errors = rings.map((ring) => this.#aheadError(ring, now));
    return errors.find(isGrave) ?? errors[0];
  }

  /** The rings that `owner` would close, of locks first, from the outermost lock that it holds. */
  #ringsAhead(owner: number, taken: number): RingAhead[] {
    const { view } = this;
    const who = this.#space.kernel.u32[(owner + OWNER_CACHE) >>> 2]!;
    const held = this.#idsHeldBy(owner);
    const nodeOf = (id: number): number => view.classOf(id) || id;
    const rings: RingAhead[] = [];
    for (const granularity of view.hasClasses ? (['lock', 'class'] as const) : (['lock'] as const)) {
      const node = granularity === 'lock' ? (id: number): number => id : nodeOf;
      const edges = view.edges(granularity);
      const to = node(taken);
      for (const from of new Set(held.map(node))) {
        if (from === to) continue;
        const gates = held.filter((id) => node(id) !== from);
        rings.push(...ringsAhead({ granularity, from, to, owner: who, gates }, edges));
      }
    }
    return rings;
  }

  /** Ids of the locks that an owner holds, outermost first: as many as the kernel looks at. */
  #idsHeldBy(owner: number): number[] {
    const { calls, u32 } = this.#space.kernel;
    const count = calls.listHeld(this.opened, owner, calls.heldCount(owner));
    const start = (this.opened + CONTEXT_ANSWERS) >>> 2;
    return [...u32.slice(start, start + count)];
  }

  /** The order would be closed by an edge that nobody took yet, or that is about to be taken again. */
  #aheadError({ granularity, severity, edges: [ahead, ...back] }: RingAhead, now: Now): LockOrderError {
    const first: LockOrderStep = {
      held: this.#name(ahead.from),
      taken: this.#name(ahead.to),
      owner: now.owner,
      ...(now.stack === undefined ? {} : { stack: now.stack }),
      count: 0,
      isNow: true,
    };
    const steps = [first, ...back.map((edge) => this.#step(edge, false, now))];
    return this.#error({ kind: 'cycle', severity, granularity, steps, rules: [] }, first.taken);
  }

  #ruleError(now: Now): LockOrderError {
    const held = this.#space.kernel.u32[(this.opened + CONTEXT_RULE_HELD) >>> 2]!;
    const names = (id: number): string[] =>
      [id, this.view.classOf(id)].filter((each) => each !== 0).map((each) => this.#name(each));
    const rules = declaredRules(this.#space.kernel).rulesFor(names(now.taken), names(held));
    return this.#declaredError('rule', held, now, rules);
  }

  #keyError(now: Now): LockOrderError {
    const held = this.#space.kernel.u32[(this.opened + CONTEXT_KEY_HELD) >>> 2]!;
    return this.#declaredError('key', held, now, []);
  }

  #declaredError(kind: 'rule' | 'key', held: number, now: Now, rules: string[]): LockOrderError {
    const step: LockOrderStep = {
      held: this.#name(held),
      taken: this.#name(now.taken),
      owner: now.owner,
      ...(now.stack === undefined ? {} : { stack: now.stack }),
      count: 1,
      isNow: true,
    };
    return this.#error(
      { kind, severity: 'certain', granularity: 'lock', steps: [step], rules },
      this.#name(now.taken),
    );
  }

  #error(fault: LockOrderFault, resource: string): LockOrderError {
    return new LockOrderError(describeFault(fault), fault, { resource });
  }

  #report(error: LockOrderError, now: Now): void {
    const { steps } = error.fault;
    this.#space.host.report({
      kind: 'order',
      message: error.message,
      locks: [...new Set(steps.flatMap(({ held, taken }) => [held, taken]))],
      error,
      owner: now.owner,
      ...(now.stack === undefined ? {} : { stack: now.stack }),
    });
  }

  /** Not silently: what does not fit is said, once for each thread. */
  #overflowed(lock: number): void {
    if (this.#hasReportedOverflow) return;
    this.#hasReportedOverflow = true;
    const name = this.#space.nameAt(lock);
    const message = `lock order: there is no room for more of the order graph, so faults that include '${name}' may be missed; raise memoryBytes`;
    const error = new MemoryFullError(message, { resource: name });
    this.#space.host.report({ kind: 'order', message, locks: [name], error });
  }

  /** The same for rings that nobody will hear of as long as there are so many. */
  #truncated(lock: number): void {
    if (this.#hasReportedTruncation) return;
    this.#hasReportedTruncation = true;
    const name = this.#space.nameAt(lock);
    const message = `lock order: there may be more rings that '${name}' closes than those that are reported, the shortest ones; break these, then call resetOrder()`;
    const error = new HeddleError('ERR_RESOURCE_LIMIT', message, { resource: name });
    this.#space.host.report({ kind: 'order', message, locks: [name], error });
  }
}

/** Worth refusing the lock for: what is gated, or one owner's alone, cannot stop anybody as things are. */
function isGrave({ fault }: LockOrderError): boolean {
  return fault.severity === 'certain' || fault.severity === 'possible';
}

/** Rings of locks or of classes. */
interface Ring {
  readonly granularity: OrderGranularity;
  readonly severity: OrderSeverity;
  readonly edges: readonly { readonly from: number }[];
}

/** Without the rings of classes that are those of locks over again, and no graver. */
function withoutShadows<R extends Ring>(rings: readonly R[], view: OrderView): R[] {
  const nameOf = (ids: readonly number[]): string => {
    const least = ids.indexOf(Math.min(...ids));
    return [...ids.slice(least), ...ids.slice(0, least)].join(' ');
  };
  const known = new Map<string, number>();
  for (const { granularity, severity, edges } of rings) {
    if (granularity !== 'lock') continue;
    const name = nameOf(edges.map(({ from }) => view.classOf(from) || from));
    known.set(name, Math.max(known.get(name) ?? 0, graveness(severity)));
  }
  return rings.filter(
    ({ granularity, severity, edges }) =>
      granularity === 'lock' ||
      graveness(severity) > (known.get(nameOf(edges.map(({ from }) => from))) ?? -1),
  );
}

const SEVERITIES: readonly OrderSeverity[] = ['same-owner', 'gated', 'possible', 'certain'];
const graveness = (severity: OrderSeverity): number => SEVERITIES.indexOf(severity);
