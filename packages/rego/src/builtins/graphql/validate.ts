import {
  buildASTSchema,
  GraphQLError,
  Kind,
  validate,
  validateSchema,
  type DefinitionNode,
  type DocumentNode,
  type GraphQLSchema,
} from 'graphql'
import { BuiltinError } from '../contract.ts'
import { locatedError } from './parse.ts'

const DEFINITION_OF: ReadonlyMap<string, string> = new Map([
  [Kind.SCALAR_TYPE_EXTENSION, Kind.SCALAR_TYPE_DEFINITION],
  [Kind.OBJECT_TYPE_EXTENSION, Kind.OBJECT_TYPE_DEFINITION],
  [Kind.INTERFACE_TYPE_EXTENSION, Kind.INTERFACE_TYPE_DEFINITION],
  [Kind.UNION_TYPE_EXTENSION, Kind.UNION_TYPE_DEFINITION],
  [Kind.ENUM_TYPE_EXTENSION, Kind.ENUM_TYPE_DEFINITION],
  [Kind.INPUT_OBJECT_TYPE_EXTENSION, Kind.INPUT_OBJECT_TYPE_DEFINITION],
])

function nameOf(node: DefinitionNode): string | undefined {
  return 'name' in node ? node.name?.value : undefined
}

/** OPA's library lets a type begin with an extension: the first one then defines it. */
function extensionsAsDefinitions(document: DocumentNode): DocumentNode {
  const defined = new Set(document.definitions.filter((d) => d.kind.endsWith('TypeDefinition')).map((d) => nameOf(d)))
  const definitions = document.definitions.map((node) => {
    const kind = DEFINITION_OF.get(node.kind)
    const name = nameOf(node)
    if (kind === undefined || defined.has(name)) return node
    defined.add(name)
    return { ...node, kind } as DefinitionNode
  })
  return { ...document, definitions }
}

/** OPA's library does not ask for a query type. */
const ALLOWED = /^Query root type must be provided\.$/

/** @throws {BuiltinError} what is wrong with the schema */
export function buildSchema(document: DocumentNode): GraphQLSchema {
  let schema: GraphQLSchema
  try {
    schema = buildASTSchema(extensionsAsDefinitions(document))
  } catch (error) {
    if (error instanceof Error) throw new BuiltinError(error.message, 'eval_builtin_error', { cause: error })
    throw error
  }
  const problem = validateSchema(schema).find((e) => !ALLOWED.test(e.message))
  if (problem !== undefined) throw toBuiltinError(problem)
  return schema
}

/** @throws {BuiltinError} the first thing that is wrong with the query under that schema */
export function validateQuery(schemaDocument: DocumentNode, query: DocumentNode): void {
  const schema = buildSchema(schemaDocument)
  if (query.definitions.length === 0) return
  // the schema itself has been judged above, by OPA's rules
  const [problem] = validate(Object.assign(schema, { __validationErrors: [] }), query, undefined, { maxErrors: 1 })
  if (problem !== undefined) throw toBuiltinError(problem)
}

function toBuiltinError(error: GraphQLError): BuiltinError {
  const { line = 1, column = 1 } = error.locations?.[0] ?? {}
  const message = error.message
    .replace(
      /^Argument "(?:\w+\.)?(\w+)\((\w+):\)" of type "([^"]+)" is required.*$/,
      'Field "$1" argument "$2" of type "$3" is required, but it was not provided',
    )
    .replace(/\.$/, '')
  return locatedError(message, line, column)
}
