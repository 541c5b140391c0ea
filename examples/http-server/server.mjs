// The server: `/primes?from=A&to=B` is CPU work, `/ping` is what should stay quick meanwhile.

import { createServer } from 'node:http';

/** The longest stretch that one request may ask for. */
const MOST = 1_000_000;

/**
 * @param countPrimes - `(from, to, signal) => Promise<number>`: on a pool or here
 */
export function makeServer(countPrimes) {
  return createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname === '/ping') return send(response, 200, { pong: true });
    if (url.pathname !== '/primes')
      return send(response, 404, { error: 'ask for /primes?from=A&to=B or /ping' });
    const from = Number(url.searchParams.get('from'));
    const to = Number(url.searchParams.get('to'));
    if (
      !Number.isSafeInteger(from) ||
      !Number.isSafeInteger(to) ||
      from < 0 ||
      to < from ||
      to - from > MOST
    ) {
      return send(response, 400, {
        error: `from and to must be integers, 0 <= from <= to <= from + ${MOST}`,
      });
    }
    // Who hangs up needs no answer: a queued task is dropped, a running one is told.
    const gone = new AbortController();
    response.on('close', () => gone.abort(new Error('the client hung up')));
    try {
      send(response, 200, { primes: await countPrimes(from, to, gone.signal) });
    } catch (error) {
      if (error.code === 'ERR_TASK_ABORTED') return;
      if (error.code === 'ERR_QUEUE_FULL')
        return send(response, 503, { error: 'busy' }, { 'retry-after': '1' });
      if (error.code === 'ERR_TASK_TIMEOUT') return send(response, 504, { error: 'took too long' });
      send(response, 500, { error: 'failed' });
      throw error;
    }
  });
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
