/** The command was used wrongly; nothing ran. Ends the process with exit code 2 and the message alone. */
export class UsageError extends Error {
  static {
    Object.defineProperty(UsageError.prototype, 'name', { value: 'UsageError' });
  }
}
