//! The AWS wire: generated request and response types, constraints, errors, codecs.
