"""The training steps of clio bench in PyTorch: forward, backward and optimizer, on images of noise that lie in memory. bfloat16: the forward
passes run under autocast, as its users do it; losses, gradients of weights and optimizers stay float32.

dcgan: the step of PyTorch's DCGAN tutorial: the discriminator learns from a real and a generated batch, then the generator. vae: PyTorch's
example, dense. unet: diffusers' UNet2DConditionModel with 8.5 million parameters, AdamW, gradients clipped."""
from torch_networks import begin


def forward(work, call):
    """What call() computes, in float32."""
    import torch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=work.storage == "bf16"):
        out = call()
    return tuple(x.float() for x in out) if isinstance(out, tuple) else out.float()


def both_layouts(work, make_step):
    """A step with channels first in memory, and one with channels last."""
    import torch
    begin(work)
    return [make_step(layout) for layout in (torch.contiguous_format, torch.channels_last)]


# ---- DCGAN ----

def dcgan_networks(latent, channels, layout, ngf=64, ndf=64):
    """Generator and discriminator of the tutorial, for 64 x 64 pixels."""
    from torch import nn

    def weights_init(m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(m.weight, 0, 0.02)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1, 0.02)

    def up(i, o, stride, padding):
        return [nn.ConvTranspose2d(i, o, 4, stride, padding, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]

    def down(i, o):
        return [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2, inplace=True)]

    generator = nn.Sequential(*up(latent, ngf * 8, 1, 0), *up(ngf * 8, ngf * 4, 2, 1), *up(ngf * 4, ngf * 2, 2, 1), *up(ngf * 2, ngf, 2, 1),
                              nn.ConvTranspose2d(ngf, channels, 4, 2, 1, bias=False), nn.Tanh())
    discriminator = nn.Sequential(nn.Conv2d(channels, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True), *down(ndf, ndf * 2),
                                  *down(ndf * 2, ndf * 4), *down(ndf * 4, ndf * 8), nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False), nn.Sigmoid())
    return [net.apply(weights_init).to(memory_format=layout) for net in (generator, discriminator)]


def dcgan(row, work, latent=100):
    import torch
    height, width, channels, count = row.numbers

    def make_step(layout):
        generator, discriminator = dcgan_networks(latent, channels, layout)
        criterion = torch.nn.BCELoss()
        d_optimizer, g_optimizer = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (discriminator, generator))
        real = (2 * torch.rand(count, channels, height, width) - 1).contiguous(memory_format=layout)

        def learn(images, label):
            loss = criterion(forward(work, lambda: discriminator(images).view(-1)), torch.full((count,), label))
            loss.backward()
            return loss

        def step():
            discriminator.zero_grad()
            d_real = learn(real, 1.0)
            fake = forward(work, lambda: generator(torch.randn(count, latent, 1, 1)))
            d_fake = learn(fake.detach(), 0.0)
            d_optimizer.step()
            generator.zero_grad()
            g_loss = learn(fake, 1.0)
            g_optimizer.step()
            return d_real.item() + d_fake.item(), g_loss.item()
        return step
    return both_layouts(work, make_step)


# ---- VAE ----

def vae_network(pixels, hidden=400, latent=20):
    import torch
    from torch import nn

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.mu, self.logvar = nn.Linear(pixels, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent)
            self.decode, self.out = nn.Linear(latent, hidden), nn.Linear(hidden, pixels)

        def forward(self, x):
            h = self.encode(x).relu()
            mu, logvar = self.mu(h), self.logvar(h)
            std = torch.exp(0.5 * logvar)
            z = mu + torch.randn_like(std) * std
            return torch.sigmoid(self.out(self.decode(z).relu())), mu, logvar
    return VAE()


def vae(row, work):
    import torch
    begin(work)
    height, width, channels, count = row.numbers
    model = vae_network(height * width * channels)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.rand(count, height * width * channels)

    def step():
        optimizer.zero_grad()
        back, mu, logvar = forward(work, lambda: model(images))
        loss = torch.nn.functional.binary_cross_entropy(back, images, reduction="sum") - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        loss.backward()
        optimizer.step()
        return loss.item()
    return step


# ---- UNet ----

def unet_network(side, channels):
    from diffusers import UNet2DConditionModel
    return UNet2DConditionModel(sample_size=side, in_channels=channels, out_channels=channels, block_out_channels=(64, 128, 128), layers_per_block=2,
                                down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
                                mid_block_type="UNetMidBlock2DCrossAttn",
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4,
                                norm_num_groups=32, cross_attention_dim=8)


def unet(row, work):
    import torch
    height, width, channels, count = row.numbers
    alphas = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    text = torch.zeros(count, 1, 8)  # it attends to a single row of zeros

    def make_step(layout):
        net = unet_network(height, channels).to(memory_format=layout)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
        images = (2 * torch.rand(count, channels, height, width) - 1).contiguous(memory_format=layout)

        def step():
            timesteps, noise = torch.randint(0, 1000, (count,)), torch.randn_like(images)
            a = alphas[timesteps].view(-1, 1, 1, 1)
            noisy = a.sqrt() * images + (1 - a).sqrt() * noise
            loss = torch.nn.functional.mse_loss(forward(work, lambda: net(noisy, timesteps, encoder_hidden_states=text).sample), noise)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            return loss.item()
        return step
    return both_layouts(work, make_step)


MAKERS = {"dcgan": dcgan, "vae": vae, "unet": unet}
