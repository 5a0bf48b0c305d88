import { bundleProgram } from '../../../../agent/bin/bundle.ts'
import { bundledOnce } from '../../../../agent/src/testing/bundled-once.ts'
import { vouchsafe } from './command-line.ts'

/** The command line as one file: a page of the guide starts it thirty times. */
export const bundled = await bundledOnce('vouchsafe', (outfile) => bundleProgram(vouchsafe, outfile))
