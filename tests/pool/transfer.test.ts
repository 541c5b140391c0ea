import { MessageChannel } from 'node:worker_threads';
import { move } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf, thrownBy } from './harness.ts';

const MB = 2 ** 20;

describe('transferList', () => {
  it('detaches what it names, and only then', async () => {
    const { pool } = await openPool();
    const bytes = new Uint8Array(MB).fill(5);
    expect(await pool.run('firstAndLength', [bytes])).toEqual([5, MB]);
    expect(bytes.byteLength).toBe(MB);
    const call = pool.run('firstAndLength', [bytes], { transferList: [bytes.buffer] });
    expect(bytes.byteLength).toBe(0);
    expect(await call).toEqual([5, MB]);
  });

  it('transfers a port', async () => {
    const { pool } = await openPool();
    const { port1, port2 } = new MessageChannel();
    const heard = new Promise((resolve) => port1.once('message', resolve));
    await pool.run('usePort', [port2, { hello: 1 }], { transferList: [port2 as never] });
    expect(await heard).toEqual({ hello: 1 });
    port1.close();
  });

  it('takes a stream that is an argument itself, and refuses a locked one and one inside of a value', async () => {
    const { pool } = await openPool();
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue('x');
        controller.close();
      },
    });
    const bytes = new Uint8Array(10);
    const transferList = [stream, bytes.buffer] as never;
    const inside = await rejectionOf(pool.run('echo', [{ stream }, bytes], { transferList }));
    expect(inside).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: 'args[0].stream' });
    const reader = stream.getReader();
    const locked = await rejectionOf(pool.run('readAll', [stream], { transferList }));
    expect(locked).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: 'transferList' });
    expect(bytes.byteLength).toBe(10);
    reader.releaseLock();
    expect(await pool.run('readAll', [stream, bytes], { transferList })).toBe('x');
    expect(bytes.byteLength).toBe(0);
  });

  it('rejects what cannot be transferred, and leaves the rest as it was', async () => {
    const { pool } = await openPool();
    const bytes = new Uint8Array(10);
    for (const transferList of [[5], [{}], [bytes.buffer, bytes.buffer], [new SharedArrayBuffer(8)]]) {
      expect(
        await rejectionOf(pool.run('echo', [bytes], { transferList: transferList as never })),
      ).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(bytes.byteLength).toBe(10);
    }
    expect(pool.metrics().outstanding).toBe(0);
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('of a cancelled call is gone, and the next call is right', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const bytes = new Uint8Array(100);
    const call = outcome(
      pool.run('firstAndLength', [bytes], { transferList: [bytes.buffer], signal: abort.signal }),
    );
    const other = new Uint8Array(50).fill(8);
    const kept = pool.run('firstAndLength', [other], { transferList: [other.buffer] });
    abort.abort();
    expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    gate.open();
    await blocking;
    expect(await kept).toEqual([8, 50]);
  });

  it('of calls that are cancelled while their arguments are on the way reaches no other call', async () => {
    const { pool } = await openPool({ concurrentTasksPerWorker: 8 });
    const calls: Promise<void>[] = [];
    const check = async (length: number, abort: AbortController): Promise<void> => {
      const bytes = new Uint8Array(length).fill(7);
      const options = { transferList: [bytes.buffer], signal: abort.signal };
      const got = await outcome(pool.run('firstAndLength', [bytes], options));
      if (got.ok || !abort.signal.aborted) expect(got).toEqual({ ok: true, value: [7, length] });
    };
    for (let round = 1; round <= 1000; round++) {
      for (let i = 0; i < 3; i++) {
        const abort = new AbortController();
        calls.push(check(round * 3 + i, abort));
        // While it is queued, while its arguments are asked for or sent, or while it runs.
        if (i === 0) setImmediate(() => abort.abort());
        else if (round % 3 === i) setTimeout(() => abort.abort(), round % 4);
      }
      if (round % 4 === 0) calls.push(pool.run('busy', [0.05]).then(() => {}));
      if (round % 5 === 0) await new Promise((resolve) => setTimeout(resolve, round % 3));
      else await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(calls);
    expect(pool.metrics().outstanding).toBe(0);
  });
});

describe('move', () => {
  it('hands arguments over', async () => {
    const { pool } = await openPool();
    const bytes = new Uint8Array(MB).fill(4);
    const call = pool.run('firstAndLength', [move(bytes)]);
    expect(bytes.byteLength).toBe(0);
    expect(await call).toEqual([4, MB]);
  });

  it('hands results over: detached in the worker, whole here', async () => {
    const { pool } = await openPool();
    const result = (await pool.run('keepAndReturn', ['moved', MB, true])) as { bytes: Uint8Array };
    expect([result.bytes.length, result.bytes[0]]).toEqual([MB, 3]);
    expect(await pool.run('keptLength', ['moved'])).toBe(0);
    const copy = (await pool.run('keepAndReturn', ['copied', MB, false])) as { bytes: Uint8Array };
    expect([copy.bytes.length, copy.bytes[0]]).toEqual([MB, 3]);
    expect(await pool.run('keptLength', ['copied'])).toBe(MB);
  });

  it('keeps results in their order among many', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const calls = Array.from({ length: 200 }, (_, i) => pool.run('makeBytes', [i + 2, i % 2 === 0]));
    const results = (await Promise.all(calls)) as Uint8Array[];
    expect(results.map((bytes) => bytes.length)).toEqual(Array.from({ length: 200 }, (_, i) => i + 2));
    expect(results.every((bytes) => bytes[0] === 7 && bytes.at(-1) === 9)).toBe(true);
  });

  it('refuses what has nothing to hand over', async () => {
    expect(thrownBy(() => move(5))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(thrownBy(() => move(new Uint8Array(new SharedArrayBuffer(4))))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });

  it('of what was handed over already rejects', async () => {
    const { pool } = await openPool();
    const bytes = new Uint8Array(10);
    await pool.run('echo', [move(bytes)]);
    expect(await rejectionOf(pool.run('echo', [move(bytes)]))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await pool.run('echo', [1])).toBe(1);
  });
});

describe('move inside of another value', () => {
  it('is refused by its path, and nothing is detached', async () => {
    const { pool } = await openPool();
    const bytes = new Uint8Array(4);
    const nested = { list: [move(bytes)] };
    const calls = [
      pool.run('echo', [nested]),
      pool.run('echo', [{ list: nested.list, shared: new SharedArrayBuffer(4) }]),
      pool.run('echo', [nested], { transferList: [new ArrayBuffer(4)] }),
      pool.run('echo', [nested, move(new Uint8Array(4))]),
    ];
    for (const call of calls) {
      const error = await rejectionOf(call);
      expect(error).toMatchObject({ name: 'DataCloneError', path: 'args[0].list[0]' });
      expect(error.message).toContain('move()');
    }
    expect(bytes.length).toBe(4);
    expect(await rejectionOf(pool.run('returnNestedMove'))).toMatchObject({ path: 'result.list[0]' });
  });
});

describe('values that only a port can carry', () => {
  it('name the one that cannot cross, with a transferList or with move', async () => {
    const { pool } = await openPool();
    const odd = { user: { greet() {} } };
    const calls = [
      pool.run('echo', [odd], { transferList: [new ArrayBuffer(4)] }),
      pool.run('echo', [odd, move(new Uint8Array(4))]),
    ];
    for (const call of calls) {
      expect(await rejectionOf(call)).toMatchObject({ name: 'DataCloneError', path: 'args[0].user.greet' });
    }
  });

  it('name the one inside of what is moved', async () => {
    const { pool } = await openPool();
    const odd = { list: [1, () => 1] };
    expect(await rejectionOf(pool.run('echo', [1, move(odd, [new ArrayBuffer(4)])]))).toMatchObject({
      path: 'args[1].list[1]',
    });
    expect(await rejectionOf(pool.run('returnMovedFunction'))).toMatchObject({ path: 'result.list[1]' });
    const { port1, port2 } = new MessageChannel();
    expect(await rejectionOf(pool.run('echo', [{ a: { b: [1, port1] } }]))).toMatchObject({
      path: 'args[0].a.b[1]',
    });
    expect(await rejectionOf(pool.run('returnPort'))).toMatchObject({ path: 'result.list[0]' });
    expect(await rejectionOf(pool.run('echo', [1], { transferList: ['x'] as never }))).toMatchObject({
      path: 'transferList',
    });
    port1.close();
    port2.close();
  });

  it('pass: shared buffers of the user stay shared', async () => {
    const { pool } = await openPool();
    const buffer = new SharedArrayBuffer(8);
    expect(await pool.run('useSharedBuffer', [buffer])).toBe(0);
    expect(await pool.run('useSharedBuffer', [buffer])).toBe(5);
    expect(new Int32Array(buffer)[0]).toBe(10);
    const back = (await pool.run('echo', [{ buffer }])) as { buffer: SharedArrayBuffer };
    new Int32Array(back.buffer)[1] = 3;
    expect(new Int32Array(buffer)[1]).toBe(3);
  });

  it('pass: a Blob as a result', async () => {
    const { pool } = await openPool();
    const blob = (await pool.run('returnBlob', ['the text'])) as Blob;
    expect(await blob.text()).toBe('the text');
  });

  it('keep the time limit, the signal and the context of their task', async () => {
    const { pool } = await openPool();
    const buffer = new SharedArrayBuffer(8);
    expect(await rejectionOf(pool.run('never', [buffer], { timeoutMs: 10 }))).toMatchObject({
      code: 'ERR_TASK_TIMEOUT',
    });
    expect(await pool.run('myContext', [buffer])).toMatchObject({ task: 'myContext' });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('survive the death of the worker that had not run them yet', async () => {
    const { pool } = await openPool();
    const dying = outcome(pool.run('exit', [1]));
    const calls = Array.from({ length: 20 }, () => pool.run('useSharedBuffer', [new SharedArrayBuffer(8)]));
    expect(await dying).toMatchObject({ ok: false, error: { code: 'ERR_WORKER_EXITED' } });
    expect(await Promise.all(calls)).toEqual(Array(20).fill(0));
  });
});
