// Makes the `model` build of the kernel: every plain access to memory is announced to the explorer as the atomic ones are (assembly/schedule.ts), then
// binaryen's asyncify lets the explorer suspend a call wherever it is told something.

/** The kinds that schedule.ts gives plain accesses. */
const PLAIN_LOAD = 4;
const PLAIN_STORE = 5;
/** Imports in which a call may be suspended. */
const SUSPENDING = 'schedule.point,schedule.wait,schedule.notify,schedule.notifyFirst,schedule.relax';

const TYPE_OF = (opcode) => opcode.slice(0, 3);
const SIZE_OF = (opcode) => {
  const width = /\.(?:load|store)(8|16|32)?/.exec(opcode)[1];
  if (width !== undefined) return Number(width) / 8;
  return TYPE_OF(opcode).endsWith('64') ? 8 : 4;
};

/** `(func $plain.i32.load ...)`: announces, then accesses. The offset comes first, because in the text it stands before the operands. */
function accessor(opcode, point) {
  const isLoad = opcode.includes('load');
  const type = TYPE_OF(opcode);
  const address = '(i32.add (local.get $address) (local.get $offset))';
  const kind = isLoad ? PLAIN_LOAD : PLAIN_STORE;
  const announce = `(call ${point} (i32.const ${kind}) ${address} (i32.const ${SIZE_OF(opcode)}) (i32.const 0) (i32.const 0))`;
  return isLoad
    ? `(func $plain.${opcode} (param $offset i32) (param $address i32) (result ${type}) ${announce} (${opcode} ${address}))`
    : `(func $plain.${opcode} (param $offset i32) (param $address i32) (param $value ${type}) ${announce} (${opcode} ${address} (local.get $value)))`;
}

/** Byte by byte, or word by word where it can be: the order in which memory.fill and memory.copy write is nobody's business. */
const BULK = `
 (func $plain.fill (param $p i32) (param $v i32) (param $n i32)
  (block $words (br_if $words (i32.and (i32.or (local.get $p) (local.get $n)) (i32.const 3)))
   (loop $more
    (if (i32.eqz (local.get $n)) (then (return)))
    (call $plain.i32.store (i32.const 0) (local.get $p) (i32.mul (i32.and (local.get $v) (i32.const 255)) (i32.const 0x01010101)))
    (local.set $p (i32.add (local.get $p) (i32.const 4)))
    (local.set $n (i32.sub (local.get $n) (i32.const 4)))
    (br $more)))
  (loop $more
   (if (i32.eqz (local.get $n)) (then (return)))
   (call $plain.i32.store8 (i32.const 0) (local.get $p) (local.get $v))
   (local.set $p (i32.add (local.get $p) (i32.const 1)))
   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
   (br $more)))
 (func $plain.copy (param $to i32) (param $from i32) (param $n i32)
  (loop $more
   (if (i32.eqz (local.get $n)) (then (return)))
   (call $plain.i32.store8 (i32.const 0) (local.get $to) (call $plain.i32.load8_u (i32.const 0) (local.get $from)))
   (local.set $to (i32.add (local.get $to) (i32.const 1)))
   (local.set $from (i32.add (local.get $from) (i32.const 1)))
   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
   (br $more)))`;

/** Replaces each plain access in the text of a module by a call of its accessor. */
function announcePlainAccesses(text) {
  const used = new Set(['i32.store', 'i32.store8', 'i32.load8_u']);
  const rewritten = text
    .replace(
      /\(([if](?:32|64)\.(?:load|store)(?:8|16|32)?(?:_[su])?)((?: (?:offset|align)=\d+)*)(?=\s)/g,
      (_, opcode, attributes) => {
        used.add(opcode);
        return `(call $plain.${opcode} (i32.const ${/offset=(\d+)/.exec(attributes)?.[1] ?? '0'})`;
      },
    )
    .replaceAll('(memory.fill', '(call $plain.fill')
    .replaceAll('(memory.copy', '(call $plain.copy');
  const point = /\(import "schedule" "point" \(func (\S+)/.exec(text)[1];
  const end = rewritten.lastIndexOf(')');
  return `${rewritten.slice(0, end)}\n${[...used].map((opcode) => accessor(opcode, point)).join('\n')}${BULK}\n)`;
}

/** `bytes`: the model build as asc made it, with names. */
export function makeExplorable(binaryen, bytes) {
  const plain = binaryen.readBinary(bytes);
  plain.setFeatures(binaryen.Features.All);
  const text = plain.emitText();
  plain.dispose();
  const module = binaryen.parseText(announcePlainAccesses(text));
  const has = binaryen.Features;
  module.setFeatures(
    has.Atomics |
      has.BulkMemory |
      has.BulkMemoryOpt |
      has.MutableGlobals |
      has.NontrappingFPToInt |
      has.SignExt,
  );
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  binaryen.setDebugInfo(true);
  module.optimize();
  binaryen.setPassArgument('asyncify-imports', SUSPENDING);
  binaryen.setPassArgument('asyncify-ignore-indirect', '1');
  module.runPasses(['asyncify']);
  binaryen.clearPassArguments();
  // Inlining what asyncify has made would only make it larger.
  binaryen.setAlwaysInlineMaxSize(0);
  binaryen.setFlexibleInlineMaxSize(0);
  binaryen.setOneCallerInlineMaxSize(0);
  module.optimize();
  if (!module.validate()) throw new Error('the model kernel is not valid WebAssembly');
  return module;
}
