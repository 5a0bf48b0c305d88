import { GraphQLError, Kind, parse, visit, type DocumentNode } from 'graphql'
import { BuiltinError } from '../contract.ts'
import { boundBrackets } from '../nesting.ts'

/** Larger documents are refused: validation rules compare fields pairwise. */
const MAX_TOKENS = 20_000

/** Block strings, strings and comments hold brackets that do not nest. */
const NO_BRACKETS = /"""(?:[^\\]|\\(?!""")|\\""")*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n\r]*/y

/** Parses a query or schema. Text without any token is an empty document. */
export function parseDocument(text: string): DocumentNode {
  if (/^(?:[\s,\ufeff]|#[^\n\r]*(?:[\n\r]|$))*$/.test(text)) return { kind: Kind.DOCUMENT, definitions: [] }
  boundBrackets(text, NO_BRACKETS)
  let document: DocumentNode
  try {
    // Go's parser knows variables of fragments, though not arguments for them
    document = parse(text, { maxTokens: MAX_TOKENS, experimentalFragmentArguments: true })
  } catch (error) {
    if (error instanceof GraphQLError) throw syntaxError(error, text)
    throw error
  }
  refuseWhatGoRefuses(document)
  return document
}

function refuseWhatGoRefuses(document: DocumentNode): void {
  visit(document, {
    FragmentSpread: (node) => {
      const [argument] = node.arguments ?? []
      const at = argument?.loc?.startToken
      if (at !== undefined) throw locatedError('Expected Name, found (', at.line, at.column - 1)
    },
    SelectionSet: (node) => {
      if (node.selections.length > 0) return
      const at = node.loc?.endToken
      throw locatedError('expected at least one definition, found }', at?.line ?? 1, at?.column ?? 1)
    },
  })
}

/** The error in the words of Go's parser, as far as they differ only in words. */
function syntaxError(error: GraphQLError, text: string): BuiltinError {
  const { line = 1, column = 1 } = error.locations?.[0] ?? {}
  let message = error.message
    .replace(/^Syntax Error: /, '')
    .replace(/\.$/, '')
    .replaceAll(/"([^\w"]+)"/g, '$1')
  let at = column
  const offset = error.positions?.[0] ?? 0
  if (message === 'Expected Name, found }' && text.slice(0, offset).trimEnd().endsWith('{')) {
    message = 'expected at least one definition, found }'
  } else if (message.startsWith('Unexpected variable ')) {
    message = 'Unexpected $'
  } else if (message.startsWith('Unterminated string')) {
    message = 'Unexpected <Invalid>'
  } else if (message.startsWith('Unexpected description')) {
    message = `Unexpected String ${/^"(?:[^"\\]|\\.)*"/.exec(text.slice(offset))?.[0] ?? ''}`
  }
  // Go points behind the quote that a string starts with
  if (message.startsWith('Unexpected String')) at++
  return locatedError(message, line, at)
}

export function locatedError(message: string, line: number, column: number): BuiltinError {
  return new BuiltinError(`${message} in GraphQL string at location ${line}:${column}`)
}
