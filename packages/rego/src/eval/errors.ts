import { RegoError } from '../errors.ts'
import type { Location } from '../syntax/source.ts'

export function completeConflict(at: Location | undefined): RegoError {
  return RegoError.of('eval_conflict_error', 'complete rules must not produce multiple outputs', at)
}

export function functionConflict(at: Location | undefined): RegoError {
  return RegoError.of('eval_conflict_error', 'functions must not produce multiple outputs for same inputs', at)
}

export function keyConflict(at: Location | undefined): RegoError {
  return RegoError.of('eval_conflict_error', 'object keys must be unique', at)
}
