/* Unwinds four frames as a panic does, and fails unless the cleanup of each has run: whether the
   unwinder that packaging/cross/toolchain makes for musl finds its tables. */
#include <stdlib.h>
#include <unwind.h>

static int cleaned;

static void clean(int *frame)
{
    (void)frame;
    cleaned++;
}

static _Unwind_Reason_Code stop(int version, _Unwind_Action action, _Unwind_Exception_Class class,
                                struct _Unwind_Exception *exception, struct _Unwind_Context *context, void *argument)
{
    (void)version, (void)class, (void)exception, (void)context, (void)argument;
    if (action & _UA_END_OF_STACK)
        exit(cleaned == 4 ? 0 : 1);
    return _URC_NO_REASON;
}

static __attribute__((noinline)) void call(int deeper)
{
    __attribute__((cleanup(clean))) int frame = deeper;
    static struct _Unwind_Exception exception;
    if (frame > 0)
        call(frame - 1);
    else
        _Unwind_ForcedUnwind(&exception, stop, NULL);
    __asm__ volatile("");
}

int main(void)
{
    call(3);
    return 1;
}
