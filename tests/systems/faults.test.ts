import { createRuntime, StaticSystems } from 'heddle';
import { expect, it } from 'vitest';
import { until } from '../pool/harness.ts';

const TASKS = new URL('../fixtures/tasks.mjs', import.meta.url);

/** A provider whose ears throw. */
const deaf = (): StaticSystems =>
  Object.assign(new StaticSystems(), {
    reportViolation: () => {
      throw new Error('no ear for violations');
    },
    reportConcurrencyError: () => {
      throw new Error('no ear for failures');
    },
  });

it('a provider that throws where it is told of a violation changes nothing for who locks', async () => {
  await using rt = await createRuntime({ systems: deaf() });
  const heard: string[] = [];
  rt.locks.onViolation((violation) => heard.push(violation.kind));
  const [a, b] = [rt.mutex('A'), rt.mutex('B')];
  for (const [first, second] of [
    [a, b],
    [b, a],
  ] as const) {
    expect(await first.lock()).toBe(true);
    expect(await second.lock()).toBe(true);
    second.unlock();
    first.unlock();
  }
  expect(heard).toEqual(['order']);
});

it('a provider that throws where it is told of a failure leaves the error event as it is', async () => {
  await using rt = await createRuntime({ systems: deaf() });
  await using pool = await rt.createPool({ tasks: TASKS });
  const errors: unknown[] = [];
  pool.on('error', (error) => errors.push(error));
  pool.submit({ name: 'fail', args: ['plain'] });
  await until(() => errors.length === 1);
  expect(await pool.run('echo', [1])).toBe(1);
});
