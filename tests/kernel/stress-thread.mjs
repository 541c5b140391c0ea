// One thread of tests/kernel/stress.test.ts: it instantiates the raw kernel over the shared memory and plays one part.
import { parentPort, workerData } from 'node:worker_threads';

const { module, memory, layout, part, options } = workerData;
const { exports: kernel } = new WebAssembly.Instance(module, { env: { memory } });
const i32 = new Int32Array(memory.buffer);
const f64 = new Float64Array(memory.buffer);
const u8 = new Uint8Array(memory.buffer);
const { stop, seed } = options;

const stopped = () => Atomics.load(i32, stop >>> 2) !== 0;

/** Mulberry32 (T. Ettinger). */
let randomState = seed;
function random(below) {
  randomState = (randomState + 0x6d2b79f5) | 0;
  let t = Math.imul(randomState ^ (randomState >>> 15), 1 | randomState);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

function fail(message) {
  throw new Error(`${part}: ${message}`);
}

/** Slots of one agent, as ts/kernel/slot-table.ts. */
function slotTable(agent) {
  const free = [];
  return {
    take() {
      if (free.length === 0) {
        const span = kernel.addSlotSpan(agent);
        if (span === 0) fail('no memory for slots');
        for (let i = layout.SLOTS_PER_SPAN - 1; i > 0; i--) free.push(span + i * layout.SLOT_SIZE);
      }
      return free.pop();
    },
    put: (slot) => free.push(slot),
  };
}

function fill(slot, lane, id, meta) {
  i32[(slot + layout.SLOT_OWNER) >>> 2] = lane;
  i32[(slot + layout.SLOT_CANCEL) >>> 2] = 0;
  i32[(slot + layout.SLOT_META) >>> 2] = meta;
  f64[(slot + layout.SLOT_VALUES) >>> 3] = id;
}

const idIn = (slot) => f64[(slot + layout.SLOT_VALUES) >>> 3];
const mark = (id) => Atomics.add(i32, (options.marks >>> 2) + id, 1);

const parts = {
  /** Pushes forks in bursts and takes back what nobody stole. Returns how many it pushed. */
  owner() {
    const { agent, lane, pool, most } = options;
    const slots = slotTable(agent);
    const deque = kernel.dequeOf(lane, 0, 0);
    const stack = [];
    const stolen = [];
    let next = 0;
    let local = 0;
    const settleStolen = () => {
      for (let i = stolen.length - 1; i >= 0; i--) {
        if (kernel.statusOf(stolen[i]) !== layout.SLOT_DONE) continue;
        slots.put(stolen[i]);
        stolen[i] = stolen.at(-1);
        stolen.pop();
      }
    };
    while (!stopped() && next < most) {
      // Mostly short stacks, where owner and thieves meet at the last entry; now and then one that makes the deque grow.
      const burst = random(2000) === 0 ? 20_000 : 1 + random(random(10) === 0 ? 300 : 4);
      for (let i = 0; i < burst && next < most; i++) {
        const slot = slots.take();
        fill(slot, lane, next++, layout.META_FORK_BIT);
        if (kernel.fork(pool, deque, slot) !== 1) fail('no room for a fork');
        stack.push(slot);
      }
      for (
        let back = random(2) === 0 ? stack.length : random(burst + 1);
        back > 0 && stack.length > 0;
        back--
      ) {
        const slot = stack.pop();
        if (kernel.takeBack(deque, slot) === 1) {
          mark(idIn(slot));
          slots.put(slot);
          local++;
        } else {
          stolen.push(slot);
        }
      }
      if (stolen.length > 64) settleStolen();
    }
    while (stack.length > 0) {
      const slot = stack.pop();
      if (kernel.takeBack(deque, slot) === 1) {
        mark(idIn(slot));
        local++;
      } else stolen.push(slot);
    }
    while (stolen.length > 0) settleStolen();
    return { pushed: next, local };
  },

  thief() {
    const { agent } = options;
    let count = 0;
    // What it leaves in the deque its owner takes back.
    while (!stopped()) {
      const slot = kernel.help(agent);
      if (slot === 0) continue;
      mark(idIn(slot));
      kernel.finish(slot, layout.SLOT_DONE);
      count++;
    }
    return { count };
  },

  /** Submits in bursts with pauses in which all workers go to sleep, waits on its doorbell, and checks the order of what comes. */
  submitter() {
    const { agent, lane, pool, workers, firstWorker, quiet } = options;
    const slots = slotTable(agent);
    const bell = (agent + layout.AGENT_DOORBELL) >>> 2;
    const lastOf = new Float64Array(workers);
    let out = 0;
    let next = 0;
    let waits = 0;
    const drain = () => {
      let slot = kernel.takeCompletions(lane);
      let count = 0;
      while (slot !== 0) {
        const following = i32[(slot + layout.SLOT_LINK) >>> 2];
        if (kernel.statusOf(slot) !== layout.SLOT_DONE) fail(`status ${kernel.statusOf(slot)}`);
        const stamp = idIn(slot);
        const worker = stamp % workers;
        if (stamp <= lastOf[worker]) fail('outcomes of one worker came out of order');
        lastOf[worker] = stamp;
        slots.put(slot);
        slot = following;
        count++;
      }
      out -= count;
      return count;
    };
    while (!stopped()) {
      for (let burst = 1 + random(random(8) === 0 ? 200 : 3); burst > 0; burst--) {
        const slot = slots.take();
        fill(slot, lane, next++, 0);
        out++;
        if (kernel.submit(pool, lane, 0, 0, slot) !== 1) fail('no room');
      }
      const target = random(3) === 0 ? 0 : random(out + 1);
      while (out > target) {
        if (drain() > 0) continue;
        kernel.armDoorbell(agent);
        if (drain() === 0) {
          waits++;
          if (Atomics.wait(i32, bell, layout.BELL_ARMED, 8000) === 'timed-out')
            fail(`an outcome or a wake-up was lost: ${out} of ${next} are out`);
        }
        kernel.quietDoorbell(agent);
      }
    }
    while (out > 0) drain();
    Atomics.store(i32, quiet >>> 2, 1);
    for (let i = 0; i < workers; i++) kernel.unpark(firstWorker + i * layout.AGENT_SIZE);
    return { submitted: next, waits };
  },

  /** Takes tasks, and parks without a timeout when there are none. */
  worker() {
    const { agent, index, workers, quiet } = options;
    let count = 0;
    let parks = 0;
    while (Atomics.load(i32, quiet >>> 2) === 0) {
      let slot = kernel.take(agent);
      if (slot === 0 && random(2) === 0 && kernel.startSearch(agent) !== 0)
        slot = kernel.search(agent, 1 + random(20));
      if (slot !== 0) {
        mark(idIn(slot));
        count++;
        // A stamp that grows, and names the worker.
        f64[(slot + layout.SLOT_VALUES) >>> 3] = count * workers + index;
        kernel.finish(slot, layout.SLOT_DONE);
        if (random(50) === 0) i32[(agent + layout.AGENT_BATCH) >>> 2] = 1 + random(32);
        continue;
      }
      if (kernel.enterIdle(agent, 0) !== 0) continue;
      if (kernel.preparePark(agent) !== 0 && Atomics.load(i32, quiet >>> 2) === 0) {
        parks++;
        kernel.block(agent, -1);
      }
      kernel.finishPark(agent);
      kernel.exitIdle(agent);
    }
    kernel.stopSearch(agent);
    return { count, parks };
  },

  /** Waits for its turn by parking, then gives the turn to the other. */
  player() {
    const { agent, other, me, turn, rounds } = options;
    for (let round = 0; round < rounds; round++) {
      while (Atomics.load(i32, turn >>> 2) !== me) {
        if (kernel.preparePark(agent) !== 0 && Atomics.load(i32, turn >>> 2) !== me) kernel.block(agent, -1);
        kernel.finishPark(agent);
      }
      Atomics.store(i32, turn >>> 2, 1 - me);
      if (random(2) === 0) kernel.unpark(other);
      else kernel.unparkIfParked(other);
    }
    return { rounds };
  },

  /** Fills blocks and sends them to the next thread through a ring; checks and frees what it is sent. */
  trader() {
    const { agent, outbox, inbox, capacity } = options;
    let sent = 0;
    let received = 0;
    let tick = 0;
    const receive = () => {
      while (received !== Atomics.load(i32, inbox >>> 2)) {
        const block = i32[(inbox >>> 2) + 16 + (received % capacity)];
        const bytes = i32[(block - layout.BLOCK_HEADER + layout.BLOCK_BYTES) >>> 2];
        const byte = u8[block];
        for (let i = 0; i < bytes; i += 61) if (u8[block + i] !== byte) fail('a block was overwritten');
        if (u8[block + bytes - 1] !== byte) fail('the end of a block was overwritten');
        kernel.release(agent, block);
        received++;
        Atomics.store(i32, (inbox >>> 2) + 1, received);
      }
    };
    while (!stopped()) {
      receive();
      if (sent - Atomics.load(i32, (outbox >>> 2) + 1) >= capacity) continue;
      const bytes = 1 + random(random(200) === 0 ? 150_000 : 2000);
      const block = kernel.allocate(agent, bytes);
      if (block === 0) continue;
      u8.fill((tick = (tick + 1) & 255), block, block + bytes);
      if (random(4) === 0) {
        kernel.release(agent, block);
        continue;
      }
      i32[(outbox >>> 2) + 16 + (sent % capacity)] = block;
      sent++;
      Atomics.store(i32, outbox >>> 2, sent);
    }
    // Everybody has stopped sending when all have said so.
    Atomics.add(i32, options.quiet >>> 2, 1);
    while (Atomics.load(i32, options.quiet >>> 2) < options.traders) receive();
    receive();
    return { sent, received };
  },

  /** Opens the same names as everybody else, in an order of its own. */
  namer() {
    const { agent, names } = options;
    const cells = new Array(names);
    const encoder = new TextEncoder();
    const order = Array.from({ length: names }, (_, i) => i);
    for (let i = names - 1; i > 0; i--) {
      const j = random(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (const i of order) {
      const name = encoder.encode(`cell ${i}`);
      const text = kernel.allocate(agent, name.length);
      u8.set(name, text);
      cells[i] = kernel.findCell(text, name.length, layout.CELL_INT32);
      kernel.release(agent, text);
      kernel.cellAdd(cells[i], 1);
    }
    return { cells };
  },
};

parentPort.postMessage('ready');
parentPort.once('message', () => parentPort.postMessage(parts[part]()));
