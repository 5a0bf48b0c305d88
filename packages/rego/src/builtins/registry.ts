import { AGGREGATES } from './aggregates.ts'
import { ARITHMETIC } from './arithmetic.ts'
import { AWS } from './aws.ts'
import { COLLECTIONS } from './collections.ts'
import { COMPARISON } from './comparison.ts'
import type { Builtin } from './contract.ts'
import { DIGESTS } from './digests.ts'
import { ENCODING } from './encoding.ts'
import { GLOB } from './glob.ts'
import { GRAPH } from './graph.ts'
import { GRAPHQL } from './graphql/index.ts'
import { HOST_IO } from './host-io.ts'
import { JSON_PATHS } from './json-paths.ts'
import { JWT } from './jwt/index.ts'
import { NET } from './net.ts'
import { OBJECTS } from './objects.ts'
import { RANDOM } from './random.ts'
import { REGEX } from './regex.ts'
import { SCHEMA } from './schema/index.ts'
import { SEMVER } from './semver.ts'
import { STRINGS } from './strings.ts'
import { TEMPLATE } from './template/index.ts'
import { TIME } from './time/index.ts'
import { TYPE_CHECKS } from './type-checks.ts'
import { UNITS } from './units.ts'
import { URLS } from './urls.ts'
import { X509 } from './x509/index.ts'

const FAMILIES = [
  COMPARISON,
  ARITHMETIC,
  AGGREGATES,
  COLLECTIONS,
  OBJECTS,
  JSON_PATHS,
  GRAPH,
  STRINGS,
  REGEX,
  GLOB,
  SEMVER,
  UNITS,
  TYPE_CHECKS,
  ENCODING,
  URLS,
  NET,
  TIME,
  RANDOM,
  DIGESTS,
  JWT,
  X509,
  SCHEMA,
  TEMPLATE,
  AWS,
  GRAPHQL,
  HOST_IO,
]

/** Every built-in, by name. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(FAMILIES.flat().map((b) => [b.name, b]))
