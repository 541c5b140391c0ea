/** comlink ships the types of its Node adapter beside the UMD build only. */
declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { Endpoint } from 'comlink';

  // biome-ignore-start lint/suspicious/noExplicitAny: Node's emitters give each event a type of its own
  export default function nodeEndpoint(port: {
    postMessage(message: unknown, transfer?: readonly unknown[]): void;
    on(type: string, listener: (value: any) => void): unknown;
    off(type: string, listener: (value: any) => void): unknown;
    start?: () => void;
  }): Endpoint;
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
}
