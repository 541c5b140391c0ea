/** A program that uses a pool, leaves it idle, and then has only one task outstanding. */
import { contenders } from '../contenders/index.mjs';

const [contenderId, threads] = process.argv.slice(2);
const pool = await contenders.find(({ id }) => id === contenderId).start({ threads: Number(threads) });
for (let i = 0; i < 100; i++) await pool.run('echo', i);
// Lets what the start left behind (compilers, collections) finish before the idle time is measured.
await new Promise((resolve) => setTimeout(resolve, 300));
const before = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, 2000));
const { user, system } = process.cpuUsage(before);
process.stdout.write(`cpu ${(user + system) / 1000}\npending\n`);
pool.run('pause', 300).then(() => process.stdout.write('settled\n'));
