/**
 * What a function of the user's returned may be a promise, which fails later: that is heard like what is thrown at once. A rejection that nobody hears ends the
 * process. Call it where what the function throws is caught.
 */
export function hearLateFault(returned: unknown, onFault: (error: unknown) => void): void {
  if (typeof returned !== 'object' || returned === null) return;
  if (typeof (returned as PromiseLike<unknown>).then !== 'function') return;
  void Promise.resolve(returned).then(undefined, onFault);
}

/** An observer changes nothing by its faults, whenever they come. */
export function tellObserver(call: () => unknown): void {
  try {
    hearLateFault(call(), () => undefined);
  } catch {
    // The same.
  }
}
