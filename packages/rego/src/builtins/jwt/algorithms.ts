/** Asymmetric signature algorithms, by their JOSE names; ECDSA signatures are r ‖ s. */
export type SignatureAlgorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA'
