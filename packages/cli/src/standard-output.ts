import { report } from './report.ts'

/** 128 and the number of SIGPIPE, which Node ignores: what a shell says of a program whose reader went. */
const READER_GONE = 141

/** Who reads a pipe may go before all is said, as `head` does: no bug, and nobody is left to tell. Of a full disk behind `>` stderr is told. */
export function endWithoutReader(error: NodeJS.ErrnoException): never {
  process.exit(error.code === 'EPIPE' ? READER_GONE : report(error, false))
}
