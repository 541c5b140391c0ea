// The client, in a thread of its own so that it does not compete with the server for one event loop. It sends a fixed number of requests
// over a few connections, and pings the server all the while.

import { Agent, get } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { port, requests, connections, queries } = workerData;
const agent = new Agent({ keepAlive: true });

function fetchJson(path) {
  return new Promise((resolve, reject) => {
    get({ port, path, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) }));
      response.on('error', reject);
    }).on('error', reject);
  });
}

let next = 0;
let isRunning = true;
const answers = [];
const pingsMs = [];

async function connection() {
  while (next < requests) {
    const index = next++;
    const { from, to } = queries[index % queries.length];
    answers[index] = await fetchJson(`/primes?from=${from}&to=${to}`);
  }
}

async function ping() {
  while (isRunning) {
    const start = performance.now();
    await fetchJson('/ping');
    pingsMs.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const started = performance.now();
const pinging = ping();
await Promise.all(Array.from({ length: connections }, connection));
const elapsedMs = performance.now() - started;
isRunning = false;
await pinging;
agent.destroy();
parentPort.postMessage({ answers, pingsMs, elapsedMs });
