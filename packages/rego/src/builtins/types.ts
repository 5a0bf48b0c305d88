/** The declared type of an operand or result, as OPA's capability list has them. */
export type TypeDecl =
  | { readonly kind: 'any' | 'null' | 'boolean' | 'number' | 'string' }
  | { readonly kind: 'array'; readonly static?: readonly TypeDecl[]; readonly dynamic?: TypeDecl }
  | { readonly kind: 'set'; readonly of: TypeDecl }
  | {
      readonly kind: 'object'
      readonly static?: ReadonlyArray<{ readonly key: string; readonly value: TypeDecl }>
      readonly dynamic?: { readonly key: TypeDecl; readonly value: TypeDecl }
    }
  | { readonly kind: 'union'; readonly of: readonly TypeDecl[] }

const any: TypeDecl = { kind: 'any' }
const string: TypeDecl = { kind: 'string' }
const number: TypeDecl = { kind: 'number' }
const boolean: TypeDecl = { kind: 'boolean' }
const nothing: TypeDecl = { kind: 'null' }

/** Short names for declarations. */
export const T = {
  any,
  string,
  number,
  boolean,
  null: nothing,
  array: (of: TypeDecl = any): TypeDecl => ({ kind: 'array', dynamic: of }),
  tuple: (...of: TypeDecl[]): TypeDecl => ({ kind: 'array', static: of }),
  set: (of: TypeDecl = any): TypeDecl => ({ kind: 'set', of }),
  object: (key: TypeDecl = any, value: TypeDecl = any): TypeDecl => ({ kind: 'object', dynamic: { key, value } }),
  record: (members: Readonly<Record<string, TypeDecl>>, rest?: TypeDecl, restKey: TypeDecl = string): TypeDecl => ({
    kind: 'object',
    static: Object.entries(members).map(([key, value]) => ({ key, value })),
    ...(rest === undefined ? {} : { dynamic: { key: restKey, value: rest } }),
  }),
  oneOf: (...of: TypeDecl[]): TypeDecl => ({ kind: 'union', of }),
} as const
