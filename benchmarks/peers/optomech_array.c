/* Drift of a periodic optomechanical array, written by hand.
 * Fields are [site][lane], real and imaginary parts apart; 16 realizations side by side. */
#include <stdint.h>

enum { LANES = 16 };

typedef struct {
    double delta, omega, g0, kappa, gamma, drive, photon_hop, hop;
} parameters;

void drift(int side, const int64_t *near, const parameters *p,
           const double *restrict ar, const double *restrict ai,
           const double *restrict br, const double *restrict bi,
           double *restrict dar, double *restrict dai,
           double *restrict dbr, double *restrict dbi)
{
    const double half_kappa = 0.5 * p->kappa, half_gamma = 0.5 * p->gamma;
    for (int s = 0; s < side * side; s++) {
        const int64_t n0 = near[4 * s] * LANES, n1 = near[4 * s + 1] * LANES;
        const int64_t n2 = near[4 * s + 2] * LANES, n3 = near[4 * s + 3] * LANES;
        const int64_t o = (int64_t)s * LANES;
        for (int l = 0; l < LANES; l++) {
            const double u = ar[o + l], v = ai[o + l], x = br[o + l], y = bi[o + l];
            const double detuning = p->delta + 2.0 * p->g0 * x;
            const double sr = br[n0 + l] + br[n1 + l] + br[n2 + l] + br[n3 + l];
            const double si = bi[n0 + l] + bi[n1 + l] + bi[n2 + l] + bi[n3 + l];
            const double ur = ar[n0 + l] + ar[n1 + l] + ar[n2 + l] + ar[n3 + l];
            const double ui = ai[n0 + l] + ai[n1 + l] + ai[n2 + l] + ai[n3 + l];
            dar[o + l] = -half_kappa * u - detuning * v - p->photon_hop * ui;
            dai[o + l] = -half_kappa * v + detuning * u - p->drive + p->photon_hop * ur;
            dbr[o + l] = -half_gamma * x + p->omega * y - p->hop * si;
            dbi[o + l] = -half_gamma * y - p->omega * x + p->hop * sr + p->g0 * (u * u + v * v);
        }
    }
}

void drifts(int count, int side, const int64_t *near, const parameters *p,
            const double *ar, const double *ai, const double *br, const double *bi,
            double *dar, double *dai, double *dbr, double *dbi)
{
    for (int k = 0; k < count; k++) {
        drift(side, near, p, ar, ai, br, bi, dar, dai, dbr, dbi);
        __asm__ volatile("" ::: "memory");
    }
}
