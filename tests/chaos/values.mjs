// Values of every kind that the codec knows, made from a seed: both sides of a call make the same one and compare.
import { randomFrom } from './random.mjs';

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

const text = (random, most) => {
  const alphabet = random.pick(['abc xyz', 'äöü ÿé', 'žlutý Ω≈ 日本語', '🧵🪡 mixed ü']);
  const characters = [...alphabet];
  let made = '';
  for (let n = random.below(most); n > 0; n--) made += random.pick(characters);
  return made;
};

const leaf = (random) => {
  switch (random.below(13)) {
    case 0:
      return random.below(2 ** 31) - 2 ** 30;
    case 1:
      return random.pick([0, -0, Number.NaN, Infinity, -Infinity, 0.1, 2 ** 53, -1e-300]);
    case 2:
      return random.chance(0.5);
    case 3:
      return random.pick([null, undefined]);
    case 4:
      return text(random, 40);
    case 5:
      return text(random, 2000);
    case 6:
      return BigInt(random.below(2 ** 31)) ** BigInt(random.below(9)) * (random.chance(0.5) ? 1n : -1n);
    case 7:
      return new Date(random.below(2 ** 31) * 1000);
    case 8:
      return new RegExp(`a{${random.below(9)}}`, random.pick(['', 'g', 'iu']));
    case 9: {
      const type = random.pick(ARRAYS);
      const array = new type(random.below(200));
      for (let i = 0; i < array.length; i++)
        array[i] = array instanceof BigInt64Array || array instanceof BigUint64Array ? BigInt(i) : i;
      return array;
    }
    case 10:
      return new Uint8Array(random.below(3000)).fill(random.below(256)).buffer;
    case 11:
      return new DataView(
        new Uint8Array(64).fill(random.below(256)).buffer,
        random.below(8),
        random.below(50),
      );
    default:
      return Object.assign(new (random.pick([Error, TypeError, RangeError]))(text(random, 30)), {
        stack: 'none',
      });
  }
};

const branch = (random, depth, made) => {
  if (depth === 0 || random.chance(0.3)) return leaf(random);
  const size = random.below(5);
  const child = () => branch(random, depth - 1, made);
  let value;
  switch (random.below(5)) {
    case 0:
      value = Array.from({ length: size }, child);
      if (random.chance(0.1)) value[size + 2] = 'after a hole';
      break;
    case 1:
      value = new Map(Array.from({ length: size }, (_, i) => [random.chance(0.8) ? `k${i}` : i, child()]));
      break;
    case 2:
      value = new Set(Array.from({ length: size }, (_, i) => (random.chance(0.5) ? i : `s${i}`)));
      break;
    case 3:
      // Records of one shape, as tables are.
      value = Array.from({ length: size * 3 }, (_, i) => ({ id: i, name: `n${i}`, on: i % 2 === 0 }));
      break;
    default:
      value = {};
      for (let i = 0; i < size; i++) value[`key ${i} ${text(random, 4)}`] = child();
      // The same object twice, or itself.
      if (made.length > 0 && random.chance(0.2)) value.again = random.pick(made);
      if (random.chance(0.05)) value.self = value;
  }
  made.push(value);
  return value;
};

/** The value of a seed. */
export function valueFrom(seed) {
  const random = randomFrom(seed);
  return branch(random, random.below(5), []);
}
