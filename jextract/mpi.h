/*
 * What io.spd4j.mpi calls of MPI, declared once for every implementation: the functions are the same everywhere, only handles
 * and constants differ. Open MPI's handles are addresses, MPICH's are ints. As pointers both can be passed: on 64-bit
 * platforms a function that takes an int reads the low half of the register. A handle that MPI writes goes into eight bytes
 * that were zero. The constants are in MpiAbi.java. A status is only given back to MPI.
 */
typedef void *spd4j_mpi_handle;

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided);
int MPI_Initialized(int *flag);
int MPI_Finalize(void);
int MPI_Abort(spd4j_mpi_handle comm, int errorcode);
int MPI_Get_library_version(char *version, int *resultlen);
int MPI_Error_string(int errorcode, char *string, int *resultlen);
int MPI_Comm_set_errhandler(spd4j_mpi_handle comm, spd4j_mpi_handle errhandler);
int MPI_Comm_dup(spd4j_mpi_handle comm, spd4j_mpi_handle *newcomm);
int MPI_Comm_rank(spd4j_mpi_handle comm, int *rank);
int MPI_Comm_size(spd4j_mpi_handle comm, int *size);
int MPI_Isend(const void *buf, int count, spd4j_mpi_handle datatype, int dest, int tag, spd4j_mpi_handle comm,
              spd4j_mpi_handle *request);
int MPI_Irecv(void *buf, int count, spd4j_mpi_handle datatype, int source, int tag, spd4j_mpi_handle comm,
              spd4j_mpi_handle *request);
int MPI_Test(spd4j_mpi_handle *request, int *flag, void *status);
int MPI_Cancel(spd4j_mpi_handle *request);
int MPI_Get_count(const void *status, spd4j_mpi_handle datatype, int *count);

/* Of the C library: which file a loaded library came from. Its own header declares it only with _GNU_SOURCE. */
typedef struct {
  const char *dli_fname;
  void *dli_fbase;
  const char *dli_sname;
  void *dli_saddr;
} Dl_info;

int dladdr(const void *address, Dl_info *info);
int setenv(const char *name, const char *value, int overwrite);
