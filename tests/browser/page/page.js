// The page of the browser test: a user's program. The test calls these functions one by one.
import { createRuntime, isHeddleError, TaskPool } from 'heddle';

const tasks = new URL('./tasks.js', import.meta.url);
const worker = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });

let runtime;
let pool;
const errors = [];
let onError = () => undefined;

/** What of an error can go to the test. */
function plain(error) {
  return {
    type: Object.getPrototypeOf(error).constructor.name,
    isError: error instanceof Error,
    isHeddleError: isHeddleError(error),
    name: error.name,
    code: error.code,
    message: error.message,
    stack: error.stack,
  };
}

const failure = (promise) =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error) => error,
  );

/** Turns of the event loop until the condition holds: this thread cannot block. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve));
}

/** What the page knows of its system. */
export async function system() {
  const { cpus, source, nodes } = await runtime.systems.getTopologyHints();
  const container = runtime.systems.getContainerContext();
  return { cpus: cpus.length, told: navigator.hardwareConcurrency, source, nodes: nodes.length, container };
}

export async function open() {
  runtime = await createRuntime();
  pool = await runtime.createPool({
    tasks,
    worker,
    name: 'page',
    minThreads: 2,
    maxThreads: 2,
    workerData: { answer: 42 },
  });
  pool.on('error', (error) => {
    errors.push(error);
    onError();
  });
  await pool.ready();
  return { isolated: crossOriginIsolated, threads: pool.metrics().threads, tasks: pool.tasks };
}

export async function runMany(count) {
  const start = performance.now();
  const sums = await Promise.all(Array.from({ length: count }, (_, i) => pool.run('add', [i, 1])));
  const ms = performance.now() - start;
  const wrong = sums.filter((sum, i) => sum !== i + 1).length;
  const { completed, workers } = pool.metrics();
  return { ms, wrong, count: sums.length, completed, perWorker: workers.map((each) => each.completed) };
}

export async function runInTurn(count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await pool.run('add', [i, 1]);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { p50: times[count >> 1], p99: times[Math.floor(count * 0.99)] };
}

export async function mapObjects(count) {
  const inputs = Array.from({ length: count }, (_, i) => ({ name: `item ${i} ✓`, tags: ['a', `t${i}`] }));
  const outputs = [];
  for await (const text of pool.map('describe', inputs)) outputs.push(text);
  return outputs;
}

export async function forkAndJoin(n, forks) {
  const start = performance.now();
  const result = await pool.run('fib', [n]);
  const ms = performance.now() - start;
  // A worker adds what it counted when it runs out of work.
  await until(() => pool.metrics().forks >= forks);
  return { result, ms, forks: pool.metrics().forks };
}

export async function fillShared(length) {
  const array = runtime.alloc(Float64Array, length);
  const filled = await pool.run('fill', [array, 1.5]);
  await pool.range('addRange', { from: 0, to: length }, [array, 1]);
  const right = array.every((value) => value === 2.5);
  const isShared = array.buffer instanceof SharedArrayBuffer;
  runtime.free(array);
  return { filled, right, isShared };
}

async function cancelRunning(task, started, stopped) {
  const controller = new AbortController();
  const running = pool.run(task, [], { signal: controller.signal });
  await until(() => runtime.atomicBool(started).load());
  const reason = new Error('enough');
  controller.abort(reason);
  const error = await failure(running);
  await until(() => runtime.atomicBool(stopped).load());
  return { ...plain(error), hasReason: error.cause === reason, after: await pool.run('add', [1, 2]) };
}

export const cancelSync = () => cancelRunning('spinUntilAborted', 'spinning', 'stopped');
export const cancelAsync = () => cancelRunning('waitUntilAborted', 'waiting', 'signalled');

export async function failInTask() {
  const error = await failure(pool.run('fail'));
  return {
    ...plain(error),
    isRangeError: error instanceof RangeError,
    row: error.row,
    cause: plain(error.cause),
  };
}

export async function refuseFunction() {
  return plain(await failure(pool.run('add', [{ user: { onClick() {} } }, 1])));
}

export async function uncaught(task) {
  const before = errors.length;
  const told = new Promise((resolve) => {
    onError = resolve;
  });
  await pool.run(task);
  await told;
  return errors.slice(before).map(plain);
}

export async function transfer() {
  const sent = new ArrayBuffer(1 << 20);
  const received = await pool.run('half', [sent], { transferList: [sent] });
  const { port1, port2 } = new MessageChannel();
  const echoed = new Promise((resolve) => {
    port1.onmessage = (event) => resolve(event.data);
  });
  const done = pool.run('echoThrough', [port2], { transferList: [port2] });
  port1.postMessage(21);
  const echo = await echoed;
  await done;
  return { sent: sent.byteLength, received: received.byteLength, echo };
}

export const whoAmI = () => pool.run('whoAmI');

/** A worker that dies under its task, and one that must be ended by force. */
export async function loseWorkers() {
  const exits = [];
  const onExit = ({ exitCode, expected, threadId }) => exits.push({ exitCode, expected, threadId });
  pool.on('workerExit', onExit);
  const lost = plain(await failure(pool.run('endThread')));
  await until(() => exits.length === 1);
  const controller = new AbortController();
  const deaf = pool.run('spin', [], { signal: controller.signal, abortGraceMs: 10 });
  await until(() => runtime.atomicBool('deaf').load());
  const start = performance.now();
  controller.abort();
  const aborted = plain(await failure(deaf));
  await until(() => exits.length === 2);
  const graceMs = performance.now() - start;
  pool.off('workerExit', onExit);
  const after = await Promise.all(Array.from({ length: 1000 }, (_, i) => pool.run('add', [i, i])));
  await pool.ready();
  return { lost, aborted, exits, graceMs, after: after.length, threads: pool.metrics().threads };
}

export async function end() {
  await pool.shutdown();
  await runtime.dispose();
  return plain(await failure(pool.run('add', [1, 2])));
}

/** Opens a pool by the short form, and closes it. Returns the error, if there is one. */
async function openBriefly(options) {
  try {
    const brief = await TaskPool.create({ tasks, worker, memoryBytes: 2 ** 24, ...options });
    await brief.destroy();
    return undefined;
  } catch (error) {
    return { ...plain(error), cause: error.cause && plain(error.cause) };
  }
}

export const openWithTasks = (url) => openBriefly({ tasks: url });

export const openWithScript = (script) =>
  openBriefly({ worker: () => new Worker(new URL(script, import.meta.url), { type: 'module' }) });

export const openWithWrongFactory = () => openBriefly({ worker: () => ({}) });
