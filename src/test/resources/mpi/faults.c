/* An MPI one of whose calls fails on one rank: FAULT=MPI_Isend:3 says the third MPI_Isend, FAULT_RANK the rank. */
#include "mpi.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fails(const char *function) {
  static int calls;
  const char *fault = getenv("FAULT");
  const char *rank = getenv("OMPI_COMM_WORLD_RANK");
  size_t length = strlen(function);
  const int fail = fault && rank && !strcmp(rank, getenv("FAULT_RANK")) && !strncmp(fault, function, length) &&
                   fault[length] == ':' && ++calls == atoi(fault + length + 1);
  if (fail) fprintf(stderr, "<made to fail>\n");
  return fail;
}

#define FAULT(name, parameters, arguments) \
  int P##name parameters; \
  int name parameters { return fails(#name) ? 16 : P##name arguments; }

FAULT(MPI_Initialized, (int *flag), (flag))
FAULT(MPI_Init_thread, (int *argc, char ***argv, int required, int *provided), (argc, argv, required, provided))
FAULT(MPI_Finalize, (void), ())
FAULT(MPI_Comm_set_errhandler, (spd4j_mpi_handle comm, spd4j_mpi_handle handler), (comm, handler))
FAULT(MPI_Comm_dup, (spd4j_mpi_handle comm, spd4j_mpi_handle *copy), (comm, copy))
FAULT(MPI_Comm_rank, (spd4j_mpi_handle comm, int *rank), (comm, rank))
FAULT(MPI_Comm_size, (spd4j_mpi_handle comm, int *size), (comm, size))
FAULT(MPI_Isend, (const void *buffer, int count, spd4j_mpi_handle type, int to, int tag, spd4j_mpi_handle comm,
                  spd4j_mpi_handle *request), (buffer, count, type, to, tag, comm, request))
FAULT(MPI_Irecv, (void *buffer, int count, spd4j_mpi_handle type, int from, int tag, spd4j_mpi_handle comm,
                  spd4j_mpi_handle *request), (buffer, count, type, from, tag, comm, request))
FAULT(MPI_Test, (spd4j_mpi_handle *request, int *flag, void *status), (request, flag, status))
FAULT(MPI_Cancel, (spd4j_mpi_handle *request), (request))
FAULT(MPI_Get_count, (const void *status, spd4j_mpi_handle type, int *count), (status, type, count))
