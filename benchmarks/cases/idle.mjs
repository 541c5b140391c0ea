import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const probe = fileURLToPath(new URL('../lib/idle-probe.mjs', import.meta.url));
const exitMs = 5_000;
const few = ['heddle', 'inline'];
const many = [...few, 'piscina', 'tinypool', 'workerpool', 'poolifier', 'raw'];

/** @type {import('./case.d.ts').Case} */
export const idle = {
  id: 'idle',
  title: 'Idle pool',
  note: "CPU time of the whole process in 2 s in which a started and used pool has nothing to do. Then one task of 300 ms is started and the main program ends: 'waits' says whether its result still came, 'exit' how long after it the process ended by itself.",
  metrics: [
    { key: 'cpu', label: 'CPU in 2 s', unit: 'ms', better: 'lower' },
    { key: 'waits', label: 'waits', unit: '', better: 'higher' },
    { key: 'exit', label: 'exit', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 1, full: 1 },
  timeoutMs: 20_000,
  isolate: true,
  ownProcess: true,
  variants: () => [{ key: 'idle', label: '', params: {} }],
  includes: ({ id }, { mode }) => (mode === 'quick' ? few : many).includes(id),
  async turn(_pool, _params, { threads, contenderId }) {
    const child = spawn(process.execPath, [probe, contenderId, String(threads)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let settledAt;
    let timer;
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
      if (output.includes('pending\n')) timer ??= setTimeout(() => child.kill('SIGKILL'), exitMs);
      if (output.includes('settled\n')) settledAt ??= performance.now();
    });
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    const cpu = Number(/^cpu (\S+)$/m.exec(output)?.[1]);
    if (Number.isNaN(cpu)) throw new Error(`the probe ended early (${signal ?? `code ${code}`})`);
    const waits = settledAt === undefined ? 0 : 1;
    if (signal !== null) return { cpu, waits, note: `does not exit by itself within ${exitMs / 1000} s` };
    if (waits === 0) return { cpu, waits, note: `exits with code ${code} while a task is pending` };
    return { cpu, waits, exit: performance.now() - settledAt };
  },
};
