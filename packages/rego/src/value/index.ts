export {
  type Value,
  type RegoRecord,
  type MutableRecord,
  RegoMap,
  RegoSet,
  newRecord,
  INHERITED_NAMES,
  prototypeIsPolluted,
  isArray,
  isObject,
  isRecord,
  isSet,
  recordGet,
  typeName,
  type TypeName,
  equal,
  hash,
} from './value.ts'
export {
  BoxedNumber,
  type NumberValue,
  isNumber,
  numberFromText,
  numberFromBigInt,
  numberText,
  numberKey,
  numberToBigInt,
  numberToSafeInteger,
  numberToDouble,
  compareNumbers,
} from './number.ts'
export {
  type Order,
  compare,
  sortValues,
  sortedElements,
  sortedKeys,
  objectKeys,
  objectEntries,
  objectSize,
  objectGet,
  objectOf,
  ObjectBuilder,
  step,
  entriesOf,
} from './order.ts'
export { compareText, textToBytes, bytesToText, joinKeptBytes, wellFormed, printable } from './text.ts'
export { adopt, type AdoptOptions, DEFAULT_MAX_DEPTH } from './adopt.ts'
export { fromJson, type JsonReadOptions } from './json-read.ts'
export { toJson, toPlain, type Plain, jsonMembers, jsonName } from './json-write.ts'
export { formatValue } from './format.ts'
export { quoteText } from './quote.ts'
export { ValueError, type ValueErrorCode } from './value-error.ts'
