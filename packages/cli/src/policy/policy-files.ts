import { readFileSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import {
  type AgreementBody,
  type Grant,
  VouchsafeError,
  compileRego,
  grantSchema,
  parseAgreement,
  parseSchema,
  parseStrictJson,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { UsageError } from '../output.ts'

const MAX_POLICY_FILE = 256 * 1024

export interface PolicyOptions {
  /** The Rego rule that must be true. */
  readonly allow?: string
  /** A file of base data for Rego. */
  readonly data?: string
}

/**
 * The grants that some files hold: those of an agreement; or one grant of its own, made of all Rego modules together
 * and each `.cel` file as an expression. Folders are searched for `.rego` and `.cel` files; Rego tests are left out.
 */
export function readGrants(files: readonly string[], options: PolicyOptions): readonly Grant[] {
  const { agreements, own } = readPolicies(files, options)
  return [...agreements.flatMap(({ grants }) => grants), ...own]
}

export interface Policies {
  readonly agreements: readonly AgreementBody[]
  /** The grant that loose modules and expressions make together; none where there are none. */
  readonly own: readonly Grant[]
}

/** The same, apart: what holds of an agreement's grants may depend on its other parts. */
export function readPolicies(files: readonly string[], options: PolicyOptions): Policies {
  const found = files.flatMap(filesBelow)
  const agreements = found
    .filter((f) => f.endsWith('.json'))
    .map((f) => parseAgreement(new Uint8Array(readFileSync(f)), nodeCrypto).body)
  const rego = regoOf(found, options)
  const cel = found.filter((f) => f.endsWith('.cel')).map((f) => readFileSync(f, 'utf8').trim())
  const strange = found.find((f) => !/\.(?:json|rego|cel)$/.test(f))
  if (strange !== undefined)
    throw new UsageError(`${strange} is no policy file`, 'give agreements (.json), Rego modules (.rego) or CEL (.cel)')
  const own =
    rego === undefined && cel.length === 0
      ? []
      : [
          parseSchema(
            grantSchema,
            {
              id: 'policy',
              owner: 'owner',
              resources: ['resource'],
              ...(rego === undefined ? {} : { rego }),
              ...(cel.length === 0 ? {} : { cel }),
            },
            'policy',
          ),
        ]
  if (agreements.length + own.length === 0)
    throw new UsageError('no policy was found', 'name an agreement, .rego or .cel files, or a folder')
  return { agreements, own }
}

/** Rego modules by file name, tests left out. */
export function readModules(files: readonly string[], tests: 'with tests' | 'without tests'): Record<string, string> {
  const modules: Record<string, string> = {}
  for (const file of files.flatMap(filesBelow)) {
    if (!file.endsWith('.rego') || (tests === 'without tests' && file.endsWith('_test.rego'))) continue
    modules[tests === 'with tests' ? file : path.basename(file)] = readFileSync(file, 'utf8')
  }
  return modules
}

/** Base data for Rego; empty without a file. */
export function readData(file: string | undefined): Record<string, unknown> {
  if (file === undefined) return {}
  const data = parseStrictJson(readFileSync(file), { maxBytes: MAX_POLICY_FILE })
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw new VouchsafeError('input.malformed', `${file}: base data is one JSON object`)
  return data as Record<string, unknown>
}

function regoOf(files: readonly string[], { allow, data }: PolicyOptions): Grant['rego'] {
  const modules = readModules(files, 'without tests')
  if (Object.keys(modules).length === 0) return undefined
  const withData = data === undefined ? {} : { data: readData(data) as never }
  return { modules, allow: allow ?? onlyAllow({ modules, allow: 'data.none', ...withData }), ...withData }
}

/** The one rule that is called `allow`, when nobody said which rule decides. */
function onlyAllow(rego: NonNullable<Grant['rego']>): string {
  let rules: readonly string[]
  try {
    rules = compileRego(rego).rules.filter((r) => r.endsWith('.allow'))
  } catch (error) {
    if (error instanceof VouchsafeError && error.code === 'policy.invalid') return 'data.allow' // the check tells what is wrong
    throw error
  }
  const [only] = rules
  if (only !== undefined && rules.length === 1) return only
  throw new UsageError(
    rules.length === 0 ? 'no rule is called allow' : `several rules are called allow: ${rules.join(', ')}`,
    'say which one decides with --allow data.package.rule',
  )
}

function filesBelow(file: string): readonly string[] {
  if (!statSync(file).isDirectory()) return [file]
  return readdirSync(file, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.rego') || f.endsWith('.cel'))
    .sort()
    .map((f) => path.join(file, f))
}
