import { haveVectors, readVectorText } from '@vouchsafe/testkit'
import { fromJson, isArray, isObject, objectGet, type Value } from '../src/value/index.ts'

/** One line of a suite. Values keep every digit, which plain JSON.parse would not. */
export class SuiteCase {
  readonly suite: string
  /** `file#index` inside the suite. */
  readonly id: string
  readonly category: string
  readonly #line: Value

  constructor(suite: string, id: string, category: string, line: Value) {
    this.suite = suite
    this.id = id
    this.category = category
    this.#line = line
  }

  get(name: string): Value | undefined {
    return isObject(this.#line) ? objectGet(this.#line, name) : undefined
  }

  text(name: string): string | undefined {
    const v = this.get(name)
    return typeof v === 'string' ? v : undefined
  }

  flag(name: string): boolean {
    return this.get(name) === true
  }

  list(name: string): readonly Value[] {
    const v = this.get(name)
    return isArray(v) ? v : []
  }
}

function lines(file: string): Value[] {
  return readVectorText(file)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => fromJson(line))
}

/** The cases of one of OPA's own suites. */
export function opaCases(suite: 'v0' | 'v1' | 'compile' | 'wasm-assets'): SuiteCase[] {
  if (!haveVectors) return []
  return lines(`opa-conformance/cases-${suite}.jsonl`).map((line) => {
    const raw = new SuiteCase(suite, '', '', line)
    const file = raw.text('_file') ?? ''
    const [category = ''] = file.split('/')
    return new SuiteCase(
      suite,
      `${file}#${String(raw.get('_index'))}`,
      suite === 'wasm-assets' ? suite : category,
      line,
    )
  })
}

export const ORACLE_FILES = [
  'numbers',
  'ordering',
  'strings',
  'binary-strings',
  'regex-glob',
  'time',
  'semantics',
  'documents',
  'compile-errors',
  'compile-errors-package',
  'v0',
  'strict',
  'strict-builtin-errors',
] as const

/** The recorded answers of a real OPA. */
export function oracleCases(): SuiteCase[] {
  if (!haveVectors) return []
  return ORACLE_FILES.flatMap((file) =>
    lines(`rego-oracle/${file}.jsonl`).map((line) => {
      const raw = new SuiteCase('oracle', '', '', line)
      return new SuiteCase('oracle', raw.text('id') ?? '', file, line)
    }),
  )
}
