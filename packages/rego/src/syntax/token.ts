// The future keywords come last: a parser that has not switched one on reads it as an identifier.
const kinds = {
  illegal: 0,
  eof: 1,
  ident: 2,
  number: 3,
  string: 4,
  rawString: 5,
  templatePart: 6,
  templateEnd: 7,
  rawTemplatePart: 8,
  rawTemplateEnd: 9,
  lbrack: 10,
  rbrack: 11,
  lbrace: 12,
  rbrace: 13,
  lparen: 14,
  rparen: 15,
  comma: 16,
  colon: 17,
  add: 18,
  sub: 19,
  mul: 20,
  quo: 21,
  rem: 22,
  and: 23,
  or: 24,
  unify: 25,
  equal: 26,
  assign: 27,
  neq: 28,
  gt: 29,
  lt: 30,
  gte: 31,
  lte: 32,
  dot: 33,
  semicolon: 34,
  package: 40,
  import: 41,
  as: 42,
  default: 43,
  else: 44,
  not: 45,
  some: 46,
  with: 47,
  null: 48,
  true: 49,
  false: 50,
  in: 60,
  every: 61,
  contains: 62,
  if: 63,
  logicalAnd: 64,
  logicalOr: 65,
} as const
export type TokenKind = number
/** Token kinds. */
export const T: Readonly<Record<keyof typeof kinds, TokenKind>> = kinds

export const FIRST_KEYWORD = T.package
export const FIRST_FUTURE_KEYWORD = T.in

export const KEYWORDS: ReadonlyMap<string, TokenKind> = new Map<string, TokenKind>([
  ['package', T.package],
  ['import', T.import],
  ['as', T.as],
  ['default', T.default],
  ['else', T.else],
  ['not', T.not],
  ['some', T.some],
  ['with', T.with],
  ['null', T.null],
  ['true', T.true],
  ['false', T.false],
  ['in', T.in],
  ['every', T.every],
  ['contains', T.contains],
  ['if', T.if],
  ['and', T.logicalAnd],
  ['or', T.logicalOr],
])

/** The names of infix operators as functions. */
export const OPERATOR_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [T.add, 'plus'],
  [T.sub, 'minus'],
  [T.mul, 'mul'],
  [T.quo, 'div'],
  [T.rem, 'rem'],
  [T.and, 'and'],
  [T.or, 'or'],
  [T.unify, 'eq'],
  [T.equal, 'equal'],
  [T.assign, 'assign'],
  [T.neq, 'neq'],
  [T.gt, 'gt'],
  [T.lt, 'lt'],
  [T.gte, 'gte'],
  [T.lte, 'lte'],
])

const PUNCTUATION: ReadonlyMap<number, string> = new Map<number, string>([
  [T.illegal, 'illegal'],
  [T.eof, 'eof'],
  [T.ident, 'identifier'],
  [T.number, 'number'],
  [T.string, 'string'],
  [T.rawString, 'string'],
  [T.templatePart, 'template string'],
  [T.templateEnd, 'template string'],
  [T.rawTemplatePart, 'template string'],
  [T.rawTemplateEnd, 'template string'],
  [T.lbrack, '['],
  [T.rbrack, ']'],
  [T.lbrace, '{'],
  [T.rbrace, '}'],
  [T.lparen, '('],
  [T.rparen, ')'],
  [T.comma, ','],
  [T.colon, ':'],
  [T.dot, '.'],
  [T.semicolon, ';'],
])

const KEYWORD_TEXT: ReadonlyMap<number, string> = new Map([...KEYWORDS].map(([text, kind]) => [kind, text]))

/** The name of a token kind in error messages. */
export function tokenName(kind: TokenKind): string {
  return PUNCTUATION.get(kind) ?? OPERATOR_NAMES.get(kind) ?? KEYWORD_TEXT.get(kind) ?? String(kind)
}
