import { isMoved } from '../codec/move.ts';
import { DataCloneFailure } from '../errors.ts';
import type { ValuePort } from '../platform/port.ts';
import type { FromWorker, ToWorker } from '../worker/messages.ts';

interface Offer {
  readonly args: readonly unknown[];
  readonly transfer: Transferable[];
}

/**
 * Values that shared memory cannot carry: transferred buffers, ports, blobs, shared buffers of others. Arguments are cloned when the call is
 * made, so later changes do not show, and sent to the worker that claimed the task when it asks for them; results are posted before the slot
 * is concluded.
 */
export class PortValues {
  readonly #offers = new Map<number, Offer>();
  readonly #arrived = new Map<number, { value: unknown }>();
  readonly #awaited = new Map<number, () => void>();
  readonly #ports = new Map<number, ValuePort>();
  readonly #onOther: (agentId: number, message: FromWorker) => void;

  constructor(onOther: (agentId: number, message: FromWorker) => void) {
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
    if (message.kind === 'want') this.#serve(agentId, message.slot);
    else if (message.kind === 'value') this.#accept(message.slot, message.value);
    else this.#onOther(agentId, message);
  }

  #serve(agentId: number, slot: number): void {
    const offer = this.#offers.get(slot);
    this.#offers.delete(slot);
    const reply: ToWorker =
      offer === undefined ? { kind: 'gone', slot } : { kind: 'arguments', slot, args: offer.args };
    this.#ports.get(agentId)?.post(reply, offer?.transfer ?? []);
  }

  #accept(slot: number, value: unknown): void {
    this.#arrived.set(slot, { value });
    const here = this.#awaited.get(slot);
    this.#awaited.delete(slot);
    here?.();
  }

  /**
   * Keeps the arguments of a call for the worker that will claim it.
   *
   * @throws {DataCloneFailure} when they can be neither cloned nor transferred.
   */
  offer(slot: number, args: readonly unknown[], transferList: readonly Transferable[] | undefined): void {
    const transfer = [...(transferList ?? [])];
    const plain = args.map((value) => {
      if (!isMoved(value)) return value;
      transfer.push(...value.transfer);
      return value.value;
    });
    try {
      this.#offers.set(slot, structuredClone({ args: plain, transfer }, { transfer }));
    } catch (cause) {
      throw new DataCloneFailure('args', cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  /** Is the value of this concluded slot still on its way? */
  isDue(slot: number, agentId: number): boolean {
    if (this.#arrived.has(slot)) return false;
    const port = this.#ports.get(agentId);
    if (port === undefined) return false;
    this.#pollAll(agentId, port);
    return !this.#arrived.has(slot);
  }

  /** Calls back when the value is here, or when its worker is gone. */
  whenHere(slot: number, callback: () => void): void {
    this.#awaited.set(slot, callback);
  }

  isAwaited(slot: number): boolean {
    return this.#awaited.has(slot);
  }

  take(slot: number): { value: unknown } | undefined {
    const value = this.#arrived.get(slot);
    this.#arrived.delete(slot);
    return value;
  }

  /** The call is over: nothing of it is kept. */
  forget(slot: number): void {
    this.#offers.delete(slot);
    this.#arrived.delete(slot);
  }

  close(): void {
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
    this.#offers.clear();
    this.#arrived.clear();
    this.#awaited.clear();
  }
}
