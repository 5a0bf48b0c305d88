export { compile, type Policy, type PolicyOptions, type Sources } from './policy.ts'
export {
  type PreparedQuery,
  type Answer,
  type Row,
  type Input,
  type QueryOptions,
  readInput,
  parseInput,
} from './query.ts'
export { type ExplainOptions } from './explain/explainer.ts'
export {
  formatExplanation,
  type Explanation,
  type RuleExplanation,
  type BodyExplanation,
  type FailedExpression,
  type OutsideAnswer,
} from './explain/explanation.ts'
export { type Fact, withChanges } from './explain/facts.ts'
export { type EvalOptions } from './eval/machine.ts'
export { type HostFunction } from './eval/host-function.ts'
export { type Bounds } from './eval/bounds.ts'
export { type BackendChoice } from './backend/choose.ts'
export { RegoError, REGO_ERROR_CODES, formatDiagnostic, type RegoErrorCode, type Diagnostic } from './errors.ts'
export { format } from './format/format.ts'
export { runTests, type TestOptions, type TestReport, type TestResult, type TestOutcome } from './testing/run-tests.ts'
export { type FileCoverage } from './testing/coverage.ts'
export { readBundle, writeBundle, bundleModules, type Bundle, type BundleLimits } from './bundle/bundle.ts'
export { parseModule, parseQueryText, type ParseOptions } from './syntax/parse-module.ts'
export { type Module, type RegoVersion } from './syntax/ast.ts'
export { Location } from './syntax/source.ts'
export {
  type Value,
  type RegoRecord,
  RegoMap,
  RegoSet,
  BoxedNumber,
  compare,
  equal,
  formatValue,
  fromJson,
  isArray,
  isObject,
  isSet,
  objectEntries,
  objectGet,
  sortedElements,
  toJson,
  toPlain,
  type Plain,
  ValueError,
} from './value/index.ts'
export {
  BUILTINS,
  BuiltinError,
  T as Types,
  type Builtin,
  type HostFunctions,
  type TypeDecl,
} from './builtins/index.ts'
