import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const SPAN = 65_536;
const MEMORY_SPANS = 8192;
/** OWNER_SHARED of assembly/layout.ts. */
const OWNER_SHARED = 0x2000;
/** NODES_PER_PAGE_LOG2 of assembly/layout.ts. */
const NODES_PER_SPAN = 2048;
const AGAINST_BIT = 4;
const OVERFLOW_BIT = 32;

/** heddle's kernel as mutexes call it, without the mutexes: `npm run build` first. */
export class KernelOrder {
  #calls;
  #u32;
  #context;
  #held;
  #before;

  static async open() {
    const order = new KernelOrder();
    const wasm = await readFile(fileURLToPath(import.meta.resolve('heddle/kernel.wasm')));
    const memory = new WebAssembly.Memory({ initial: MEMORY_SPANS, maximum: MEMORY_SPANS, shared: true });
    const { instance } = await WebAssembly.instantiate(wasm, { env: { memory } });
    order.#calls = instance.exports;
    order.#calls.initMemory(MEMORY_SPANS * SPAN);
    order.#u32 = new Uint32Array(memory.buffer);
    order.#context = order.#calls.openOrder(1) >>> 0;
    order.#held = order.#calls.claimSpans(1, OWNER_SHARED) >>> 0;
    order.#before = order.#calls.usedSpans();
    return order;
  }

  /** `owner` takes `lock` under `held`. True when that closes a cycle. */
  check(held, lock, owner) {
    this.#u32[this.#held >>> 2] = held;
    const bits = this.#calls.checkOrder(this.#context, this.#held, 1, lock, owner, 0);
    if ((bits & OVERFLOW_BIT) !== 0) throw new Error('the memory is full');
    return (bits & AGAINST_BIT) !== 0;
  }

  /** Bytes of edges with both of their lists and the set of them; whole spans. Not of `locks` nodes, nor the thread's scratch memory, which goes. */
  edgeBytes(locks) {
    this.#calls.closeOrder(this.#context);
    const nodes = Math.ceil((locks + 1) / NODES_PER_SPAN);
    // One span has how edges were seen.
    return (this.#calls.usedSpans() - this.#before - nodes - 1) * SPAN;
  }
}
