// An HTTP server that offloads CPU work to a pool and keeps its event loop free. Runs the same load with and without the pool, prints what
// each did to the event loop, and exits.
//
//   node examples/http-server/run.mjs [--requests N] [--connections N] [--threads N]
//   node examples/http-server/run.mjs --serve [--port N]        keeps the server running; Ctrl-C ends it

import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { TaskPool } from 'heddle';
import { makeServer } from './server.mjs';
import { countPrimesHere } from './tasks.mjs';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '120' },
    connections: { type: 'string', default: '8' },
    threads: { type: 'string', default: String(availableParallelism()) },
    serve: { type: 'boolean', default: false },
    port: { type: 'string', default: '8080' },
  },
});
/** What the client asks for in turn: each some tens of milliseconds of work. */
const QUERIES = [1, 2, 3, 4].map((n) => ({ from: n * 1_000_000, to: n * 1_000_000 + 50_000 }));

const pool = await TaskPool.create({
  name: 'primes',
  tasks: new URL('./tasks.mjs', import.meta.url),
  minThreads: Number(values.threads),
  maxThreads: Number(values.threads),
  maxQueue: 1000,
});
await pool.ready();
const onPool = (from, to, signal) => pool.run('countPrimes', [from, to], { signal, timeoutMs: 10_000 });
const onEventLoop = async (from, to) => countPrimesHere(from, to);

if (values.serve) await serve();
else await compare();

async function serve() {
  const server = makeServer(onPool).listen(Number(values.port), '127.0.0.1');
  await once(server, 'listening');
  console.log(`http://127.0.0.1:${server.address().port}/primes?from=1000000&to=1050000`);
  process.once('SIGINT', async () => {
    server.close();
    server.closeAllConnections();
    await pool.shutdown(1000);
    console.log('closed');
  });
}

async function compare() {
  const expected = QUERIES.map(({ from, to }) => countPrimesHere(from, to));
  const without = await measure(onEventLoop);
  const withPool = await measure(onPool);
  await pool.shutdown();

  const rows = {
    'requests/s': (run) => run.rate.toFixed(1),
    'event loop delay, median (ms)': (run) => run.delay(50),
    'event loop delay, 99 % (ms)': (run) => run.delay(99),
    'event loop delay, longest (ms)': (run) => run.delay(100),
    'ping, median (ms)': (run) => run.ping(0.5),
    'ping, 99 % (ms)': (run) => run.ping(0.99),
    'pings answered': (run) => String(run.pings),
  };
  console.log(
    `${values.requests} requests over ${values.connections} connections, ${values.threads} threads in the pool, ${availableParallelism()} cores\n`,
  );
  console.log(`${''.padEnd(32)}${'without pool'.padStart(14)}${'with pool'.padStart(14)}`);
  for (const [name, show] of Object.entries(rows)) {
    console.log(`${name.padEnd(32)}${show(without).padStart(14)}${show(withPool).padStart(14)}`);
  }

  const isRight = [without, withPool].every(({ answers }) =>
    answers.every(
      ({ status, body }, index) => status === 200 && body.primes === expected[index % expected.length],
    ),
  );
  console.log(isRight ? '\nOK: every answer is right' : '\nFAILED: some answers are wrong');
  if (!isRight) process.exitCode = 1;
}

/** One server, one load, and what it did to the event loop of this thread. */
async function measure(countPrimes) {
  const server = makeServer(countPrimes).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new Worker(new URL('./client.mjs', import.meta.url), {
    workerData: {
      port: server.address().port,
      requests: Number(values.requests),
      connections: Number(values.connections),
      queries: QUERIES,
    },
  });
  await once(client, 'online');
  const resolution = 5;
  const monitor = monitorEventLoopDelay({ resolution });
  monitor.enable();
  const [{ answers, pingsMs, elapsedMs }] = await once(client, 'message');
  monitor.disable();
  server.close();
  pingsMs.sort((a, b) => a - b);
  return {
    answers,
    rate: (answers.length / elapsedMs) * 1000,
    // The monitor counts its own interval as delay.
    delay: (percent) => Math.max(0, monitor.percentile(percent) / 1e6 - resolution).toFixed(1),
    ping: (q) => pingsMs[Math.floor(q * (pingsMs.length - 1))].toFixed(1),
    pings: pingsMs.length,
  };
}
