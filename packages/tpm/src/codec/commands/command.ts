import { FieldRow } from '../table.ts'
import type { Fields, StructOf } from '../table.ts'

/**
 * Which authorization a handle of a command needs: by the object's password or policy (`user`), by policy alone where the
 * object says so (`admin`, `duplicate`), or none.
 */
export type HandleRole = 'none' | 'user' | 'admin' | 'duplicate'
export type HandleRoles = Readonly<Record<string, HandleRole>>

/** One row of the command table. `N` is the name under which a new handle comes back. */
export interface Command<H extends HandleRoles, P extends Fields, R extends Fields, N extends string> {
  readonly code: number
  readonly handles: H
  readonly parameters: P
  readonly returns: R
  readonly newHandle: N | undefined
  /** The same as lists, in order: what runs for every command. */
  readonly lists: {
    readonly handles: readonly { readonly name: string; readonly role: HandleRole }[]
    readonly parameters: FieldRow
    readonly returns: FieldRow
  }
  /** Sessions may accompany the command even where no handle needs one. */
  readonly sessions: boolean
}

export type AnyCommand = Command<HandleRoles, Fields, Fields, string>

interface Shape<H extends HandleRoles, P extends Fields, R extends Fields, N extends string> {
  readonly handles?: H
  readonly parameters?: P
  readonly returns?: R
  readonly newHandle?: N
  readonly sessions?: boolean
}

type None = Record<never, never>

/** A row: command code, then what Part 3 lists, in its order. */
export function command<
  const H extends HandleRoles = None,
  const P extends Fields = None,
  const R extends Fields = None,
  const N extends string = never,
>(code: number, shape: Shape<H, P, R, N> = {}): Command<H, P, R, N> {
  const handles = shape.handles ?? ({} as H)
  const parameters = shape.parameters ?? ({} as P)
  const returns = shape.returns ?? ({} as R)
  return {
    code,
    handles,
    parameters,
    returns,
    newHandle: shape.newHandle,
    lists: {
      handles: Object.entries(handles).map(([name, role]) => ({ name, role })),
      parameters: new FieldRow(parameters),
      returns: new FieldRow(returns),
    },
    sessions: shape.sessions ?? true,
  }
}

/** What comes back: the new handle, where there is one, and the response parameters. */
export type ResponseOf<C> =
  C extends Command<infer _H, infer _P, infer R, infer N> ? { readonly [K in N]: number } & StructOf<R> : never
export type ParametersOf<C> = C extends Command<infer _H, infer P, infer _R, infer _N> ? StructOf<P> : never
export type HandlesOf<C> = C extends Command<infer H, infer _P, infer _R, infer _N> ? keyof H & string : never
