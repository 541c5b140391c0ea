/** comlink ships the types of its Node adapter beside the UMD build only. */
declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { Endpoint } from 'comlink';

  export default function nodeEndpoint(port: {
    postMessage(message: unknown, transfer?: readonly unknown[]): void;
    on(type: string, listener: (value: never) => void): unknown;
    off(type: string, listener: (value: never) => void): unknown;
    start?: () => void;
  }): Endpoint;
}
