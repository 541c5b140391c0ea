import { InvalidRangeError } from '../../errors.ts';
import { describe, integer } from '../../options.ts';
import type { PinRequest, PinResult } from '../../platform/pin.ts';
import { TopologyNodes } from '../topology-nodes.ts';
import type { TopologyHints } from '../types.ts';
import type { ThreadPlacer } from './placer.ts';

type Pin = (request: PinRequest) => Promise<PinResult>;

/** The thread that makes a coordinator. */
export interface OwnThread {
  /** The host's id. */
  readonly id: number;
  /** Pins it. */
  readonly pin: Pin;
  /** Has it been pinned? */
  isPinned(): boolean;
  /** Where it runs now. */
  currentCpu(): number | undefined;
}

/** Knows the nodes of this machine and pins threads of this process: workers of pools, and the thread that asks. */
export class ProcessNodes extends TopologyNodes implements ThreadPlacer {
  readonly #read: () => TopologyHints;
  readonly #own: OwnThread;
  readonly #threads = new Map<number, Pin>();

  /**
   * @param read - the topology as it is now
   * @param own - the calling thread
   */
  constructor(read: () => TopologyHints, own: OwnThread) {
    super(read);
    this.#read = read;
    this.#own = own;
    this.#threads.set(own.id, own.pin);
  }

  request(node: number): PinRequest {
    const hints = this.#read().nodes.find(({ id }) => id === node);
    if (hints === undefined) throw new InvalidRangeError(`pin() knows no NUMA node ${describe(node)}`);
    return { node, cpus: hints.cpus };
  }

  loose(): PinRequest | undefined {
    return this.#own.isPinned() ? { node: undefined, cpus: this.#read().cpus } : undefined;
  }

  adopt(threadId: number, pin: Pin): () => void {
    this.#threads.set(threadId, pin);
    return () => this.#threads.delete(threadId);
  }

  /** Not what it was when the topology was read: the system moves threads. */
  override currentNode(): number {
    const cpu = this.#own.currentCpu();
    const here = cpu === undefined ? undefined : this.#read().nodes.find(({ cpus }) => cpus.includes(cpu));
    return here?.id ?? super.currentNode();
  }

  override async pin(threadId: number, node: number): Promise<PinResult> {
    integer(0, Number.MAX_SAFE_INTEGER)(threadId, 'pin(): threadId');
    const request = this.request(node);
    const pin = this.#threads.get(threadId);
    if (pin !== undefined && request.cpus.length > 0) return pin(request);
    const reason =
      pin === undefined
        ? `thread ${threadId} is neither the calling one nor a worker of a pool`
        : `node ${node} has no CPUs that this process may use`;
    return { isPinned: false, cpus: [], memory: 'default', means: 'none', reason };
  }
}
