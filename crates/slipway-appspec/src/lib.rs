//! AppSpec files: parse, validate with file and line, the file, permission and hook model.
