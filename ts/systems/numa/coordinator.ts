import { InvalidRangeError } from '../../errors.ts';
import { describe, integer } from '../../options.ts';
import type { PinRequest, PinResult } from '../../platform/pin.ts';
import { TopologyNodes } from '../topology-nodes.ts';
import type { TopologyHints } from '../types.ts';
import type { ThreadPlacer } from './placer.ts';

type Pin = (request: PinRequest) => Promise<PinResult>;

/** Knows the nodes of this machine and pins threads of this process: workers of pools, and the thread that asks. */
export class ProcessNodes extends TopologyNodes implements ThreadPlacer {
  readonly #read: () => TopologyHints;
  readonly #currentCpu: () => number | undefined;
  readonly #threads = new Map<number, Pin>();

  /**
   * @param read - the topology as it is now
   * @param ownThreadId - the host's id of the calling thread
   * @param pinOwn - pins the calling thread
   * @param currentCpu - where the calling thread runs now
   */
  constructor(
    read: () => TopologyHints,
    ownThreadId: number,
    pinOwn: Pin,
    currentCpu: () => number | undefined,
  ) {
    super(read);
    this.#read = read;
    this.#currentCpu = currentCpu;
    this.#threads.set(ownThreadId, pinOwn);
  }

  request(node: number): PinRequest {
    const hints = this.#read().nodes.find(({ id }) => id === node);
    if (hints === undefined) throw new InvalidRangeError(`pin() knows no NUMA node ${describe(node)}`);
    return { node, cpus: hints.cpus };
  }

  adopt(threadId: number, pin: Pin): () => void {
    this.#threads.set(threadId, pin);
    return () => this.#threads.delete(threadId);
  }

  /** Not what it was when the topology was read: the system moves threads. */
  override currentNode(): number {
    const cpu = this.#currentCpu();
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
