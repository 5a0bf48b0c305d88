/** Where in a policy something stands. */
export interface Place {
  /** A module's file name, `cel[0]`, or `when[0]`. */
  readonly file: string
  /** From 1; 0 where there are no lines. */
  readonly row: number
  readonly text: string
}

/** Something about a policy that was found without claims. `refuse`: it may not come into force; `warn`: look again. */
export interface PolicyFinding {
  readonly severity: 'refuse' | 'warn'
  /** A stable name of the check. */
  readonly check:
    | 'compile'
    | 'entry'
    | 'unknown-claim'
    | 'unknown-value'
    | 'type'
    | 'no-evidence'
    | 'names-only'
    | 'negation'
    | 'shadowed'
    | 'reference'
  readonly message: string
  readonly hint: string
  readonly place: Place
}
