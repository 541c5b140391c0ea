// Tasks that the browser test runs.
import { aborted, context, fork, join, move, runtime, signal, yieldNow } from 'heddle/task';

export function add(a, b) {
  return a + b;
}

export function describe({ name, tags }) {
  return `${name}: ${tags.join(', ')}`;
}

export function fib(n) {
  if (n < 2) return n;
  const left = fork(fib, n - 1);
  return fib(n - 2) + join(left);
}

export function fill(array, value) {
  array.fill(value);
  return array.length;
}

export function addRange(start, end, array, amount) {
  for (let i = start; i < end; i++) array[i] += amount;
}

export function spinUntilAborted() {
  runtime().atomicBool('spinning').store(true);
  while (!aborted());
  runtime().atomicBool('stopped').store(true);
}

/** Waits as async code does, for a signal. */
export async function waitUntilAborted() {
  const stop = signal();
  runtime().atomicBool('waiting').store(true);
  await yieldNow();
  await new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', resolve, { once: true });
  });
  runtime().atomicBool('signalled').store(true);
}

/** Never looks whether it was cancelled. Rollup would drop an empty loop. */
export function spin() {
  runtime().atomicBool('deaf').store(true);
  for (let n = 0; ; n++) globalThis.spins = n;
}

export function fail() {
  const error = new RangeError('out of bounds', { cause: new TypeError('no such row') });
  throw Object.assign(error, { code: 'E_ROW', row: { id: 7 } });
}

export function rejectLater() {
  void Promise.reject(new SyntaxError('nobody waits for this'));
}

export function throwLater() {
  setTimeout(() => {
    throw new EvalError('thrown in a timer');
  });
}

export function endThread() {
  close();
  // The thread ends when it is back in its event loop.
  return new Promise(() => undefined);
}

export function half(buffer) {
  const bytes = buffer.slice(0, buffer.byteLength / 2);
  return move(bytes, [bytes]);
}

export async function echoThrough(port) {
  const message = await new Promise((resolve) => {
    port.onmessage = (event) => resolve(event.data);
  });
  port.postMessage(message * 2);
}

export function whoAmI() {
  const { task, worker, threadId, workerData } = context();
  return { task, worker, threadId, workerData };
}
