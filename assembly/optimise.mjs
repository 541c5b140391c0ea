/**
 * The last step of the release build.
 *
 * @param {typeof import('binaryen').default} binaryen
 * @param {Uint8Array} bytes what asc made; it leaves function names in, for the text file, and the binary that ships carries none
 * @returns {import('binaryen').default.Module} for the caller to dispose of
 */
export function optimise(binaryen, bytes) {
  const module = binaryen.readBinary(bytes);
  const has = binaryen.Features;
  module.setFeatures(
    has.Atomics |
      has.BulkMemory |
      has.BulkMemoryOpt |
      has.MutableGlobals |
      has.NontrappingFPToInt |
      has.SignExt,
  );
  binaryen.setOptimizeLevel(4);
  binaryen.setShrinkLevel(0);
  // Hot exports should be straight-line: their helpers are small, and what is rare stands in functions of its own (`…Slow`).
  binaryen.setAlwaysInlineMaxSize(24);
  binaryen.setFlexibleInlineMaxSize(60);
  binaryen.setOneCallerInlineMaxSize(200);
  binaryen.setDebugInfo(false);
  module.optimize();
  module.runPasses(['strip-producers', 'strip-target-features']);
  if (!module.validate()) throw new Error('the optimised kernel is not valid WebAssembly');
  return module;
}
