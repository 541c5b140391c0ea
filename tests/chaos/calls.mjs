// The kinds of calls: what is called, and how it must end. `index` is the call's place in the referee's arrays.
//
//   task, args, options   for pool.run, unless `invoke` says otherwise
//   check(value)          says what is wrong with a result, or nothing
//   fails(error)          is this error what the task itself throws?
//   mustFail              a result is wrong whatever it is
//   starts                how often a task function begins when the call is fulfilled; 1 unless said, 'any' where nobody can tell
//   startsMost            how often at most in any case; as `starts` unless said
//   kills                 it ends its worker
//   plain                 no timeout and no signal is added
//   after()               when it has ended
//   limit                 most calls of a kind in the life of one pool, where they cost much
import { Blob } from 'node:buffer';
import { isDeepStrictEqual } from 'node:util';
import { move } from 'heddle';
import { valueFrom } from './values.mjs';
import { LOCKS } from './world-locks.mjs';

const equal = (value, expected) =>
  Object.is(value, expected) ? undefined : `${describe(value)} is not ${describe(expected)}`;
const describe = (value) => {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
};

const digest = (bytes) => {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (sum + bytes[i] * ((i & 1023) + 1)) | 0;
  return sum;
};

const isChaosError = (index) => (error) => error?.name === 'ChaosError' && error.index === index;
const isOverflow = (error) => error instanceof RangeError && /call stack/i.test(error.message);
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
/** Calls that fib(n) makes. */
const fibNodes = (n) => (n < 2 ? 1 : 1 + fibNodes(n - 1) + fibNodes(n - 2));

const textLeaves = (depth, text) =>
  depth === 0 ? text : [0, 1, 2].map((i) => textLeaves(depth - 1, `${text}.${i}`));
/** As the task textTree joins: in the order of forking or the reverse. */
const joinedText = (depth, leaves) => {
  if (depth === 0) return leaves;
  const parts = leaves.map((part) => joinedText(depth - 1, part));
  return (depth % 2 === 0 ? parts : parts.reverse()).join('|');
};

const bytesOf = (random, length) => {
  const bytes = new Uint8Array(length).fill(random.below(256));
  for (let i = 0; i < length; i += 1 + random.below(5000)) bytes[i] = random.below(256);
  return bytes;
};

/** A large size now and then, as large as the memory of the world allows. */
const sizeIn = (life, random) => {
  if (random.chance(0.85)) return random.between(1, 20_000);
  if (random.chance(0.8)) return random.between(20_000, 300_000);
  return random.between(1, life.world.isSmall ? 2 : 4) * 1_000_000;
};

export const KINDS = [
  {
    name: 'number',
    weight: 60,
    make({ index, random }) {
      const x = random.below(1e6);
      return { task: 'triple', args: [index, x], check: (value) => equal(value, x * 3) };
    },
  },
  {
    name: 'busy',
    weight: 25,
    make({ index, random }) {
      const rounds = random.pick([10, 1000, 20_000, 200_000]);
      const x = random.below(1000);
      let sum = x;
      for (let i = 0; i < rounds; i++) sum = (Math.imul(sum, 31) + i) | 0;
      return { task: 'busy', args: [index, x, rounds], check: (value) => equal(value, sum) };
    },
  },
  {
    name: 'blocking',
    limit: 150,
    weight: 6,
    make({ index, random }) {
      const x = random.below(1000);
      return {
        task: 'sleepy',
        args: [index, x, random.pick([0.2, 1, 5, 20])],
        check: (value) => equal(value, x),
      };
    },
  },
  {
    name: 'text',
    weight: 15,
    make({ index, random }) {
      const text = random.pick(['x', 'straße', '日本 🧵']).repeat(random.pick([0, 1, 5, 30, 500, 5000]));
      return { task: 'shout', args: [index, text], check: (value) => equal(value, `${text}!${text.length}`) };
    },
  },
  {
    name: 'value',
    weight: 30,
    make({ index, random }) {
      const seed = random.below(2 ** 31);
      return {
        task: 'codec',
        args: [index, seed, valueFrom(seed)],
        check: (value) =>
          isDeepStrictEqual(value, valueFrom(seed + 1))
            ? undefined
            : `the result of seed ${seed} came changed`,
      };
    },
  },
  {
    name: 'bytes in',
    weight: 10,
    make({ index, random, life }) {
      const bytes = bytesOf(random, sizeIn(life, random));
      const sum = digest(bytes);
      return {
        task: 'digestOf',
        args: [index, bytes],
        check: (value) => equal(value.sum, sum) ?? equal(value.length, bytes.length),
      };
    },
  },
  {
    name: 'bytes out',
    weight: 10,
    make({ index, random, life }) {
      const length = sizeIn(life, random);
      const fill = random.below(256);
      return {
        task: 'makeBytes',
        args: [index, length, fill, random.chance(0.3)],
        check: (value) =>
          equal(value.length, length) ??
          equal(value[0], length === 1 ? fill ^ 255 : fill) ??
          equal(value[length - 1], fill ^ 255),
      };
    },
  },
  {
    name: 'moved',
    weight: 8,
    make({ index, random, life }) {
      const numbers = new Float64Array(1 + (sizeIn(life, random) >> 3)).map((_, i) => i + 1);
      const { length } = numbers;
      const byList = random.chance(0.5);
      return {
        task: random.pick(['negate', 'negateLater']),
        args: [index, byList ? numbers : move(numbers)],
        options: byList ? { transferList: [numbers.buffer] } : {},
        check: (value) =>
          equal(value.length, length) ?? equal(value[0], -1) ?? equal(value[length - 1], -length),
      };
    },
  },
  {
    name: 'foreign',
    weight: 4,
    make({ index, random }) {
      const shared = new Int32Array(new SharedArrayBuffer(64));
      const size = random.below(2000);
      return {
        task: 'touchForeign',
        args: [index, shared, new Blob([new Uint8Array(size)])],
        check: (value) => equal(value.before, 0) ?? equal(value.size, size) ?? equal(shared[0], 1),
      };
    },
  },
  {
    name: 'later',
    weight: 25,
    make({ index, random }) {
      const x = random.below(1000);
      return {
        task: 'later',
        args: [index, x, random.below(4), random.pick([0, 0, 0, 1, 5, 20])],
        check: (value) => equal(value, `${x} later`),
      };
    },
  },
  {
    name: 'sometimes',
    weight: 6,
    make({ index, random }) {
      return {
        task: 'sometimes',
        args: [index, index, random.chance(0.5)],
        check: (value) => equal(value, index),
      };
    },
  },
  {
    name: 'throw',
    weight: 8,
    make: ({ index }) => ({ task: 'fail', args: [index], mustFail: true, fails: isChaosError(index) }),
  },
  {
    name: 'reject',
    weight: 6,
    make: ({ index }) => ({
      task: 'failLater',
      args: [index],
      mustFail: true,
      fails: (error) => error instanceof RangeError && error.index === index && error.code === 'E_CHAOS',
    }),
  },
  {
    name: 'uncloneable',
    limit: 100,
    weight: 3,
    make({ index, random }) {
      const fails = (error) => error?.code === 'ERR_INVALID_ARGUMENT' && error.name === 'DataCloneError';
      return random.chance(0.5)
        ? { task: 'triple', args: [index, { a: [Symbol('no')] }], mustFail: true, fails, startsMost: 0 }
        : { task: 'returnFunction', args: [index], mustFail: true, fails };
    },
  },
  {
    name: 'overflow',
    limit: 30,
    weight: 1,
    make: ({ index }) => ({ task: 'overflow', args: [index], mustFail: true, fails: isOverflow }),
  },
  {
    name: 'afterwards',
    weight: 1,
    make: ({ index, random, life }) => {
      life.afterwards++;
      return {
        task: random.pick(['throwAfterwards', 'rejectAfterwards']),
        args: [index],
        check: (value) => equal(value, index),
      };
    },
  },
  {
    name: 'retried',
    weight: 5,
    needs: (life) => life.attempts > 1,
    make({ index, random, life }) {
      const times = random.below(life.attempts + 1);
      const isEnough = times < life.attempts;
      return {
        task: 'failFirst',
        args: [index, times],
        options: { idempotent: true },
        // A death is one of its runs too.
        mustFail: !isEnough && !life.isViolent,
        fails: (error) => (!isEnough || life.isViolent) && isChaosError(index)(error),
        starts: times + 1,
        startsMost: life.attempts,
        startsLeast: life.isViolent ? 1 : Math.min(times + 1, life.attempts),
        check: (value) => equal(value, index),
      };
    },
  },
  {
    name: 'retried exit',
    limit: 10,
    weight: 1,
    needs: (life) => life.attempts > 1 && life.isViolent,
    make: ({ index, life }) => ({
      task: 'exitFirst',
      args: [index, 1],
      options: { idempotent: true },
      kills: true,
      starts: 'any',
      startsMost: life.attempts,
      check: (value) => equal(value, index),
    }),
  },
  {
    name: 'lock',
    locks: true,
    weight: 12,
    make({ index, random }) {
      const rounds = random.pick([1, 1, 5, 50]);
      const task = random.pick(['lockSync', 'lockAsync']);
      return {
        task,
        args: [index, random.below(LOCKS), rounds, random.below(3) * (task === 'lockSync' ? 0.1 : 1)],
        check: (value) =>
          Number.isInteger(value) && value <= rounds ? undefined : `${value} of ${rounds} rounds`,
      };
    },
  },
  {
    name: 'two locks',
    locks: true,
    weight: 6,
    make({ index, random }) {
      const i = random.below(LOCKS);
      const j = (i + 1 + random.below(LOCKS - 1)) % LOCKS;
      return {
        task: 'lockTwo',
        args: [index, i, j],
        check: (value) =>
          ['both', 'one', 'neither', 'deadlock'].includes(value) ? undefined : `it says ${value}`,
      };
    },
  },
  {
    name: 'lock once',
    locks: true,
    weight: 4,
    make({ index, random }) {
      const name = `once ${random.below(3)}`;
      return { task: 'lockOnce', args: [index, name], check: (value) => equal(value, name) };
    },
  },
  {
    name: 'cancelled lock',
    locks: true,
    limit: 200,
    weight: 5,
    make({ index, random }) {
      const abort = new AbortController();
      return {
        task: random.pick(['lockSync', 'lockAsync']),
        args: [index, random.below(LOCKS), 20, 1],
        options: { signal: abort.signal },
        abort,
        abortAfter: random.below(10),
        check: () => undefined,
        plain: true,
      };
    },
  },
  {
    name: 'exit with a lock',
    locks: true,
    violent: true,
    limit: 10,
    weight: 2,
    make: ({ index, random }) => ({
      task: 'exitLocked',
      args: [index, random.below(LOCKS), random.between(1, 200)],
      kills: true,
      check: (value) => equal(value, 'no lock'),
    }),
  },
  {
    name: 'cancelled queued',
    weight: 10,
    make({ index, random }) {
      const abort = new AbortController();
      return {
        task: 'triple',
        args: [index, 1],
        options: { signal: abort.signal },
        abort,
        abortAfter: random.pick(['now', 'microtask', 'turn']),
        check: (value) => equal(value, 3),
        plain: true,
      };
    },
  },
  {
    name: 'cancelled running',
    limit: 100,
    weight: 4,
    make({ index, random }) {
      const task = random.pick(['untilAborted', 'untilSignal']);
      if (random.chance(0.5))
        return { task, args: [index], options: { timeoutMs: random.below(30) }, mustFail: true, plain: true };
      const abort = new AbortController();
      return {
        task,
        args: [index],
        options: { signal: abort.signal },
        abort,
        abortAfter: random.below(30),
        mustFail: true,
        plain: true,
      };
    },
  },
  {
    name: 'cancelled tree',
    limit: 60,
    weight: 2,
    make({ index, random }) {
      const forks = random.between(1, 6);
      return {
        task: 'abortedTree',
        args: [index, forks],
        options: { timeoutMs: random.below(30) },
        mustFail: true,
        startsMost: forks + 1,
        plain: true,
      };
    },
  },
  {
    name: 'deaf',
    limit: 15,
    weight: 2,
    violent: true,
    make: ({ index, random }) => ({
      task: random.pick(['deaf', 'deafBusy']),
      args: [index],
      options: { timeoutMs: random.below(20), abortGraceMs: random.below(10) },
      mustFail: true,
      kills: true,
      plain: true,
    }),
  },
  {
    name: 'deaf later',
    limit: 60,
    weight: 3,
    make: ({ index, random, life }) => ({
      task: 'deafLater',
      args: [index],
      options: {
        timeoutMs: random.below(20),
        ...(life.isViolent && random.chance(0.3) ? { abortGraceMs: random.below(10) } : {}),
      },
      mustFail: true,
      kills: life.isViolent,
      plain: true,
    }),
  },
  {
    name: 'exit',
    limit: 25,
    weight: 4,
    violent: true,
    make: ({ index, random }) => ({
      task: random.pick(['exit', 'exitLater']),
      args: [index, random.below(3)],
      mustFail: true,
      kills: true,
    }),
  },
  {
    name: 'exit soon',
    limit: 15,
    weight: 2,
    violent: true,
    make: ({ index, random }) => ({
      task: 'exitSoon',
      args: [index, random.below(3)],
      kills: true,
      check: (value) => equal(value, index),
    }),
  },
  {
    name: 'heap',
    limit: 2,
    weight: 1,
    violent: true,
    needs: (life) => life.hasSmallHeap,
    make: ({ index }) => ({ task: 'exhaustHeap', args: [index], mustFail: true, kills: true }),
  },
  {
    name: 'tree',
    weight: 12,
    make({ index, random }) {
      const n = random.pick([2, 5, 8, 11]);
      return {
        task: 'tree',
        args: [index, n, random.pick([0, 0, 1000])],
        starts: fibNodes(n),
        check: (value) => equal(value, fib(n)),
      };
    },
  },
  {
    name: 'text tree',
    weight: 4,
    make({ index, random }) {
      const depth = random.between(1, 4);
      const text = 'é'.repeat(random.pick([1, 40, 3000]));
      return {
        task: 'textTree',
        args: [index, depth, text],
        starts: (3 ** (depth + 1) - 1) / 2,
        check: (value) => equal(value, joinedText(depth, textLeaves(depth, text))),
      };
    },
  },
  {
    name: 'async tree',
    weight: 4,
    make({ index, random }) {
      const depth = random.between(1, 5);
      return {
        task: 'asyncTree',
        args: [index, depth],
        starts: 2 ** (depth + 1) - 1,
        check: (value) => equal(value, 2 ** depth),
      };
    },
  },
  {
    name: 'scatter',
    weight: 8,
    make({ index, random }) {
      const forks = random.between(1, 12);
      const how = random.pick(['all', 'backwards', 'forwards', 'twice', 'first', 'leave', 'throw', 'never']);
      const isAll = how !== 'first' && how !== 'leave';
      return {
        task: 'scatter',
        args: [index, forks, random.below(8), how],
        options: how === 'never' ? { timeoutMs: random.below(30) } : {},
        plain: how === 'never',
        starts: forks + 1,
        startsLeast: how === 'throw' ? 1 : forks + 1,
        mustFail: how === 'throw' || how === 'never',
        fails: (error) => how === 'throw' && isChaosError(index)(error),
        check: (value) => equal(value, isAll ? (forks * (forks - 1)) / 2 : 0),
      };
    },
  },
  {
    name: 'misjoin',
    weight: 4,
    make({ index, random }) {
      const forks = random.between(1, 9);
      return {
        task: 'misjoin',
        args: [index, forks, random.pick(['join', 'backwards', 'leave'])],
        mustFail: true,
        fails: (error) => error?.code === 'ERR_INVALID_ARGUMENT' && /await the fork/.test(error.message),
        startsMost: forks + 1,
      };
    },
  },
  {
    name: 'wide tree',
    limit: 300,
    weight: 5,
    make({ index, random, life }) {
      const leaves = random.between(1, 60);
      const how = random.pick(
        life.isViolent ? ['throw', 'exit', 'leave'] : ['none', 'throw', 'overflow', 'leave'],
      );
      const sum = how === 'leave' ? leaves : (leaves * (leaves - 1)) / 2;
      const extra = how === 'overflow' ? 1 : 0;
      return {
        task: 'wide',
        args: [index, leaves, how === 'leave' ? -1 : random.below(leaves), how],
        starts: leaves + 1,
        startsMost: leaves + 1 + extra,
        kills: how === 'exit',
        mustFail: how === 'throw' || how === 'exit' || how === 'overflow',
        fails: (error) =>
          (how === 'throw' && isChaosError(index)(error)) ||
          (how === 'overflow' && isOverflow(error)) ||
          // A leaf that exited in the worker of a thief.
          (life.isViolent && error?.code === 'ERR_WORKER_EXITED'),
        check: (value) => equal(value, sum),
      };
    },
  },
  {
    name: 'range',
    weight: 5,
    make({ index, random, life }) {
      const { world } = life;
      const length = random.pick([1, 100, 5000, 200_000]);
      const cells = world.alloc(Int32Array, length);
      if (cells === undefined) return undefined;
      const from = random.below(length);
      const bad = random.chance(0.1) ? random.between(from, length - 1) : -1;
      const options = random.chance(0.15) ? { timeoutMs: random.below(20) } : {};
      return {
        task: 'cover',
        options,
        plain: true,
        invoke: (pool, callOptions) =>
          pool.range(
            'cover',
            { from, to: length, ...(random.chance(0.7) ? { grain: random.pick([1000, 30, 100_000]) } : {}) },
            [cells, index, bad],
            callOptions,
          ),
        starts: 'any',
        mustFail: bad >= 0,
        fails: isChaosError(index),
        check(value) {
          for (let i = 0; i < length; i++)
            if (cells[i] !== (i < from ? 0 : 1))
              return `cell ${i} of a range from ${from} was met ${cells[i]} times`;
          return equal(value, undefined);
        },
        after(outcome) {
          for (let i = 0; i < length; i++) {
            if (Atomics.load(cells, i) <= (i < from ? 0 : 1)) continue;
            life.violate(`cell ${i} of a range was met ${cells[i]} times`);
            break;
          }
          // Pieces of a call that was cancelled may still be running.
          if (outcome.ok) world.free(cells);
          else life.freeLater(cells);
        },
      };
    },
  },
  {
    name: 'map',
    weight: 4,
    make({ index: first, random, life }) {
      const length = random.pick([0, 1, 7, 60]);
      const indices = [first, ...Array.from({ length: Math.max(0, length - 1) }, () => life.book.take())];
      if (indices.includes(-1)) return undefined;
      const task = random.pick(['square', 'squareLater']);
      const isAsync = random.chance(0.5);
      const bad = length > 0 && task === 'squareLater' && random.chance(0.15) ? random.below(length) : -1;
      const stopAt = random.chance(0.15) ? random.below(length + 1) : Infinity;
      const settle = random.chance(0.3);
      const ordered = random.chance(0.6);
      let closed = false;
      const items = function* () {
        try {
          for (let x = 0; x < length; x++) yield { index: indices[x], x, bad: x === bad };
        } finally {
          closed = true;
        }
      };
      const itemsLater = async function* () {
        for (const item of items()) {
          if (item.x % 5 === 0) await undefined;
          yield item;
        }
      };
      return {
        task,
        plain: true,
        indices,
        async invoke(pool) {
          const seen = [];
          const concurrency = random.pick([1, 3, 20]);
          const options = { settle, ordered, concurrency };
          for await (const result of pool.map(task, isAsync ? itemsLater() : items(), options)) {
            seen.push(result);
            if (seen.length >= stopAt) break;
          }
          return seen;
        },
        starts: 'any',
        fails: (error) =>
          bad >= 0 &&
          (isChaosError(indices[bad])(error) || (life.isViolent && error?.code === 'ERR_WORKER_EXITED')),
        check(seen) {
          if (seen.length !== Math.min(length, Math.max(1, stopAt)))
            return `${seen.length} results of ${length} inputs, stop at ${stopAt}`;
          if (length > 0 && !closed) return 'the source was not closed';
          if (!settle) {
            const values = ordered ? seen : [...seen].sort((a, b) => a - b);
            for (const [i, value] of values.entries()) {
              if (ordered || seen.length === length) {
                if (value !== i * i) return `result ${i} is ${value}`;
              }
            }
            return bad >= 0 && seen.length === length ? 'the bad item did not fail it' : undefined;
          }
          for (const [i, record] of seen.entries()) {
            if (ordered && record.index !== i) return `record ${i} is number ${record.index}`;
            if (record.input.x !== record.index)
              return `record ${record.index} has the input ${record.input.x}`;
            if (record.status === 'fulfilled' && (record.input.bad || record.value !== record.index ** 2))
              return `record ${record.index} is ${record.value}`;
            if (
              record.status === 'rejected' &&
              !life.mayFailWith(record.reason, { exitsBefore: -1, isLong: true }) &&
              !isChaosError(indices[bad])(record.reason)
            )
              return `record ${record.index} failed with ${record.reason}`;
          }
          return undefined;
        },
      };
    },
  },
  {
    name: 'bump',
    weight: 8,
    make({ index, random, life }) {
      const times = random.between(1, 50);
      const name = random.pick(['bumps', `bumps ${life.name}`]);
      return {
        task: 'bump',
        args: [index, name, times],
        check: (value) => equal(value, times),
        bump: { name, times },
      };
    },
  },
  {
    name: 'guarded',
    weight: 4,
    needs: (life) => !life.isViolent && life.counter !== undefined,
    make: ({ index, life }) => ({
      task: 'guarded',
      args: [index, `lock ${life.name}`, life.counter],
      plain: true,
      guarded: true,
      check: (value) => (value > 0 ? undefined : `${value} is no count`),
    }),
  },
  {
    name: 'array from task',
    weight: 3,
    // What a worker allocates and dies with, or returns to nobody, is nobody's to free.
    needs: (life) => !life.isViolent && !life.endsHard && life.world.hasArrays && !life.world.isSmall,
    make({ index, random, life }) {
      const length = random.between(1, 20_000);
      return {
        task: 'allocate',
        args: [index, length],
        plain: true,
        check: (value) => equal(value.length, length) ?? equal(value[length - 1], index + length - 1),
        after(outcome) {
          if (outcome.ok) life.world.free(outcome.value);
        },
      };
    },
  },
  {
    name: 'array to task',
    weight: 5,
    make({ index, random, life }) {
      const { world } = life;
      const array = world.alloc(Float64Array, random.between(1, 10_000));
      if (array === undefined) return undefined;
      const value = random.below(1000);
      const part = random.chance(0.5) ? array : array.subarray(array.length >> 1);
      return {
        task: 'fill',
        args: [index, part, value],
        check: (back) =>
          back.buffer === array.buffer && back.byteOffset === part.byteOffset && back.length === part.length
            ? equal(array[array.length - 1], value)
            : 'another array came back',
        after(outcome) {
          if (outcome.ok) world.free(array);
          else life.freeLater(array);
        },
      };
    },
  },
];
