import { get } from 'node:http';
import { describe, expect, it } from 'vitest';
import { runExample } from './run-example.ts';

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function fetchText(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    }).on('error', reject);
  });
}

describe('examples/http-server', () => {
  it('answers the same with and without the pool', async () => {
    const { code, stdout, stderr } = await runExample('http-server', ['--requests', '16']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/requests\/s +[\d.]+ +[\d.]+/);
    expect(stdout).toContain('OK: every answer is right');
    expect(code).toBe(0);
  });

  it.skipIf(process.platform === 'win32')('serves until Ctrl-C', async () => {
    const answers: Answer[] = [];
    let asked: Promise<void> | undefined;
    const { code, stdout } = await runExample('http-server', ['--serve', '--port', '0'], (printed, kill) => {
      const url = /http:\S+/.exec(printed)?.[0];
      if (url === undefined || asked !== undefined) return;
      asked = (async () => {
        answers.push(await fetchText(new URL('/primes?from=0&to=100', url).href));
        answers.push(await fetchText(new URL('/primes?from=9&to=1', url).href));
        kill('SIGINT');
      })();
    });
    await asked;
    expect(answers).toEqual([
      { status: 200, body: '{"primes":25}' },
      { status: 400, body: expect.stringContaining('from and to must be integers') },
    ]);
    expect(stdout).toContain('closed');
    expect(code).toBe(0);
  });
});
