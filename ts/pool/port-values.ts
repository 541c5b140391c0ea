import { isMoved, unmoved } from '../codec/move.ts';
import { findRefused } from '../codec/pack.ts';
import { DataCloneFailure } from '../errors.ts';
import type { ValuePort } from '../platform/port.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';
import { isStream, lockStream, type StreamLock } from './stream-locks.ts';

interface Offer {
  readonly args: readonly unknown[];
  readonly transfer: Transferable[];
  /** Gives back the streams among them. */
  readonly unlock: StreamLock | undefined;
}

/**
 * Values that shared memory cannot carry: transferred buffers, ports, blobs, shared buffers of others. Arguments are cloned when the call is
 * made, so later changes do not show, and sent to the worker that claimed the task when it asks for them; results are posted before the slot
 * is concluded.
 *
 * A stream that is cloned stays joined to its clone by two ports of this thread, which would keep the process alive for ever. So streams are
 * locked when the call is made, and the stream itself is sent; one that was not sent is its owner's again.
 *
 * A cancelled call leaves its slot while its messages are still on their way, and the slot's next call may be by port too. So a message counts
 * only for the turn of the slot that it names.
 */
export class PortValues {
  readonly #offers = new Map<number, Offer>();
  readonly #arrived = new Map<number, { turn: number; value: unknown }>();
  readonly #awaited = new Map<number, () => void>();
  readonly #ports = new Map<number, ValuePort>();
  readonly #turnOf: (slot: number) => number;
  readonly #onOther: (agentId: number, message: FromWorker) => void;

  /** `turnOf` tells for which of its calls, counted, a slot stands now. */
  constructor(turnOf: (slot: number) => number, onOther: (agentId: number, message: FromWorker) => void) {
    this.#turnOf = turnOf;
    this.#onOther = onOther;
  }

  /** Starts to serve the worker that is agent `agentId`. */
  attach(agentId: number, port: ValuePort): void {
    this.#ports.set(agentId, port);
    port.listen((message) => this.#receive(agentId, message as FromWorker));
  }

  /** The worker is gone: what it had posted is taken, what did not come never will. `slotsOf` says which open slots it had claimed. */
  detach(agentId: number, wasClaimedBy: (slot: number) => boolean): void {
    const port = this.#ports.get(agentId);
    if (port === undefined) return;
    this.#pollAll(agentId, port);
    this.#ports.delete(agentId);
    port.close();
    for (const [slot, here] of [...this.#awaited]) {
      if (!wasClaimedBy(slot)) continue;
      this.#awaited.delete(slot);
      here();
    }
  }

  #pollAll(agentId: number, port: ValuePort): void {
    for (let next = port.poll(); next !== undefined; next = port.poll()) {
      this.#receive(agentId, next.message as FromWorker);
    }
  }

  #receive(agentId: number, message: FromWorker): void {
    if (message.kind === 'want') this.#serve(agentId, message.slot, message.turn);
    else if (message.kind === 'value') this.#accept(message.slot, message.turn, message.value);
    else this.#onOther(agentId, message);
  }

  #serve(agentId: number, slot: number, turn: number): void {
    const offer = turn === this.#turnOf(slot) ? this.#offers.get(slot) : undefined;
    const port = this.#ports.get(agentId);
    const gone: ToWorker = { kind: 'gone', slot, turn };
    if (offer === undefined) {
      port?.post(gone, []);
      return;
    }
    this.#withdraw(slot);
    try {
      port?.post({ kind: 'arguments', slot, turn, args: offer.args }, offer.transfer);
    } catch {
      // Only a stream can be refused now, by a browser that cannot transfer any.
      port?.post(gone, []);
    }
  }

  #withdraw(slot: number): void {
    const offer = this.#offers.get(slot);
    if (offer === undefined) return;
    this.#offers.delete(slot);
    offer.unlock?.();
  }

  #accept(slot: number, turn: number, value: unknown): void {
    if (turn !== this.#turnOf(slot)) return;
    this.#arrived.set(slot, { turn, value });
    const here = this.#awaited.get(slot);
    this.#awaited.delete(slot);
    here?.();
  }

  #hasArrived(slot: number): boolean {
    return this.#arrived.get(slot)?.turn === this.#turnOf(slot);
  }

  /**
   * Keeps the arguments of a call for the worker that will claim it.
   *
   * @throws {DataCloneFailure} when they can be neither cloned nor transferred.
   */
  offer(slot: number, args: readonly unknown[], transferList: readonly Transferable[] | undefined): void {
    const transfer = [...(transferList ?? [])];
    for (const value of args) if (isMoved(value)) transfer.push(...value.transfer);
    const plain = args.map(unmoved);
    try {
      this.#offers.set(
        slot,
        transfer.some(isStream)
          ? withStreams(plain, transfer)
          : { ...structuredClone({ args: plain, transfer }, { transfer }), unlock: undefined },
      );
    } catch (cause) {
      const root = transferList === undefined ? 'args' : 'transferList';
      const allowed = transfer.filter((part) => !isStream(part) || plain.includes(part));
      throw findRefused(plain, 'args', allowed) ?? refused(root, cause);
    }
  }

  /** Is the value of this concluded slot still on its way? */
  isDue(slot: number, agentId: number): boolean {
    if (this.#hasArrived(slot)) return false;
    const port = this.#ports.get(agentId);
    if (port === undefined) return false;
    this.#pollAll(agentId, port);
    return !this.#hasArrived(slot);
  }

  /** Calls back when the value is here, or when its worker is gone. */
  whenHere(slot: number, callback: () => void): void {
    this.#awaited.set(slot, callback);
  }

  isAwaited(slot: number): boolean {
    return this.#awaited.has(slot);
  }

  take(slot: number): { value: unknown } | undefined {
    const value = this.#hasArrived(slot) ? this.#arrived.get(slot) : undefined;
    this.#arrived.delete(slot);
    return value;
  }

  /** The call is over: nothing of it is kept. */
  forget(slot: number): void {
    this.#withdraw(slot);
    this.#arrived.delete(slot);
  }

  close(): void {
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
    for (const slot of [...this.#offers.keys()]) this.#withdraw(slot);
    this.#arrived.clear();
    this.#awaited.clear();
  }
}

/** An offer that holds the streams of the transfer list themselves; each must be an argument itself. All or nothing is locked. */
function withStreams(args: readonly unknown[], transfer: readonly Transferable[]): Offer {
  const streams = [...new Set(transfer.filter(isStream))];
  const others = transfer.filter((part) => !isStream(part));
  const locks: StreamLock[] = [];
  const unlock = (): void => {
    for (const give of locks.splice(0)) give();
  };
  try {
    for (const stream of streams) locks.push(lockStream(stream));
    const plain = args.map((value) => (streams.includes(value as Transferable) ? undefined : value));
    const cloned = structuredClone({ args: plain, transfer: others }, { transfer: others });
    return {
      args: cloned.args.map((value, i) => (streams.includes(args[i] as Transferable) ? args[i] : value)),
      transfer: [...cloned.transfer, ...streams],
      unlock,
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

const refused = (path: string, cause: unknown): DataCloneFailure =>
  new DataCloneFailure(path, cause instanceof Error ? cause.message : String(cause), { cause });
