import workerThreads, { MessageChannel, type MessagePort, threadId } from 'node:worker_threads';
import type { Lifeline, Lifelines } from './port.ts';

/**
 * How the thread that made a runtime hears of the end of threads that joined it and that it did not start: each sends it one end of a channel, and
 * holds the other for as long as it lives. Node closes that with the thread, however it ends.
 *
 * Source: `worker.postMessageToThread()` and the event `'workerMessage'` of `process`, in Node from 20.19 and 22.5 on; before, nobody is told.
 */
const { postMessageToThread } = workerThreads as {
  postMessageToThread?: (
    thread: number,
    message: Joining,
    transfer: readonly MessagePort[],
  ) => Promise<unknown>;
};

interface Joining {
  readonly kind: 'heddle:joining';
  /** {@link Lifeline.id} */
  readonly lifeline: number;
  readonly port: MessagePort;
}

// ---- the thread that made the runtime ------------------------------------------------------------------------------------------------------

interface Listener {
  readonly onGone: (threadId: number) => void;
  readonly ports: Set<MessagePort>;
}

const listeners = new Map<number, Listener>();
let opened = 0;

function onWorkerMessage(message: Partial<Joining> | null | undefined, source: number): void {
  if (message?.kind !== 'heddle:joining') return;
  const port = message.port as MessagePort;
  const listener = listeners.get(message.lifeline as number);
  if (listener === undefined) {
    port.close();
    return;
  }
  const { ports, onGone } = listener;
  ports.add(port);
  port.unref();
  // A port that we close ourselves says so too; it is taken out before.
  port.once('close', () => {
    if (ports.delete(port)) onGone(source);
  });
}

/** {@link Platform.openLifelines} */
export function openLifelines(onGone: (threadId: number) => void): Lifelines {
  const id = ++opened;
  const ports = new Set<MessagePort>();
  if (listeners.size === 0) process.on('workerMessage', onWorkerMessage);
  listeners.set(id, { onGone, ports });
  return {
    lifeline: { thread: threadId, id },
    close() {
      if (!listeners.delete(id)) return;
      if (listeners.size === 0) process.off('workerMessage', onWorkerMessage);
      const open = [...ports];
      ports.clear();
      for (const port of open) port.close();
    },
  };
}

// ---- a thread that joins -------------------------------------------------------------------------------------------------------------------

/** Held on to until the thread ends: one that is collected closes, and so does one of a thread that has left and may join again. */
const held = new Map<string, MessagePort>();

/** {@link Platform.holdLifeline} */
export function holdLifeline({ thread, id }: Lifeline): void {
  const key = `${thread}:${id}`;
  if (postMessageToThread === undefined || thread === threadId || held.has(key)) return;
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  held.set(key, port1);
  port1.once('close', () => held.delete(key));
  // Refused where the runtime is gone, or its thread.
  postMessageToThread(thread, { kind: 'heddle:joining', lifeline: id, port: port2 }, [port2]).catch(() =>
    port1.close(),
  );
}
