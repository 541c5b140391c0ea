/** Holds a stream for one who will transfer it later: meanwhile nobody else can read, write or transfer it. */
export type StreamLock = () => void;

/** Is this a ReadableStream, WritableStream or TransformStream? */
export function isStream(value: unknown): boolean {
  return (
    value instanceof ReadableStream || value instanceof WritableStream || value instanceof TransformStream
  );
}

/**
 * Locks a stream.
 *
 * @returns what gives it back
 * @throws {TypeError} when it is locked already.
 */
export function lockStream(stream: object): StreamLock {
  if (stream instanceof TransformStream) {
    const unlock = lockStream(stream.readable);
    try {
      const unlockToo = lockStream(stream.writable);
      return () => {
        unlock();
        unlockToo();
      };
    } catch (error) {
      unlock();
      throw error;
    }
  }
  const end = stream instanceof ReadableStream ? stream.getReader() : (stream as WritableStream).getWriter();
  // What becomes of the stream is for those who use it, and a lock given back rejects this.
  end.closed.catch(() => undefined);
  return () => end.releaseLock();
}
