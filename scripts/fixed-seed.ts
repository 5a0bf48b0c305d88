import fc from 'fast-check'

/** Before each file of the short suite: properties are tried with the same values on every run, whoever ran before. */
fc.configureGlobal({ seed: 20261122 })
