package io.spd4j.mpi;

/**
 * Thrown when MPI fails, when ranks do not agree, or when another rank has left. The message names
 * the call and MPI's own text, or the ranks. The job cannot go on: let the exception end it.
 */
public final class MpiException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  MpiException(String message) {
    super(message);
  }

  MpiException(String message, Throwable cause) {
    super(message, cause);
  }
}
